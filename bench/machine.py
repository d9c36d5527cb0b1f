"""The machine: pins the process to some of its cores, and describes it but not its owner."""

import os
import platform
import sys
from pathlib import Path
from typing import Any

CPU = Path("/sys/devices/system/cpu/cpu0/cache")
# Read by OpenBLAS, MKL and OpenMP when they are loaded.
THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def pin(n_threads: int) -> list[int]:
    """Keep this process, and so every library in it, on as many cores as threads.

    To be called before the libraries are imported: JAX asks for the number of cores
    when it starts, and listens to nothing else.

    Returns
    -------
    list of int
        The cores; empty where the OS has no such call.
    """
    os.environ.pop("FASTBACKPROP_NUM_THREADS", None)
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(n_threads)
    if not hasattr(os, "sched_setaffinity"):
        return []
    allowed = sorted(os.sched_getaffinity(0))
    if n_threads > len(allowed):
        raise ValueError(
            f"--threads must be at most {len(allowed)}, the cores this process may use, got "
            f"{n_threads}."
        )
    cores = allowed[:n_threads]
    os.sched_setaffinity(0, cores)
    return cores


def free_openmp_variable() -> None:
    """Take OMP_NUM_THREADS away again, once the peers are loaded.

    fastbackprop obeys it too, but what is shown is the number of threads that it
    chooses by itself.
    """
    os.environ.pop("OMP_NUM_THREADS", None)


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def _caches() -> dict[str, str]:
    """Size of each cache that the first core sees."""
    caches = {}
    for folder in sorted(CPU.glob("index*")):
        level, kind, size = (
            (folder / name).read_text().strip() for name in ("level", "type", "size")
        )
        caches[f"L{level}{'' if kind == 'Unified' else kind[0].lower()}"] = size
    return caches


def description(cores: list[int]) -> dict[str, Any]:
    """Return what a reader needs to know to compare figures."""
    import fastbackprop as fb

    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "cores used": len(cores) or "not pinned",
        "caches": _caches(),
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "free-threaded": not getattr(sys, "_is_gil_enabled", lambda: True)(),
        "kernels": fb.kernel_info()["variant"],
    }
