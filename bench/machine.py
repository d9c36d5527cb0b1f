"""The machine: pins the process to some of its cores, and describes it but not its owner."""

import contextlib
import os
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CPU = Path("/sys/devices/system/cpu/cpu0/cache")
# Read by OpenBLAS, MKL and OpenMP when they are loaded.
THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
# What the environment may say of other libraries' kernels; they are measured as they choose.
FOREIGN_VARIABLES = ("OPENBLAS_", "MKL_", "ONEDNN_", "DNNL_", "XLA_")


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
    for variable in [x for x in os.environ if x.startswith(FOREIGN_VARIABLES)]:
        del os.environ[variable]
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(n_threads)
    allowed = allowed_cores()
    if not allowed:
        return []
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


@contextlib.contextmanager
def on_cores(cores: list[int]) -> Iterator[None]:
    """Let processes that are started here have these cores."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def allowed_cores() -> list[int]:
    """Return the cores that this process may use; empty where the OS doesn't say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def cpu() -> dict[str, str]:
    """Return what the OS says of the first core, by the names of /proc/cpuinfo."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {"model name": platform.processor() or platform.machine()}
    pairs = re.findall(r"^([^:\n]+?)\s*:[ \t]*(.*)$", text.partition("\n\n")[0], re.MULTILINE)
    return {"model name": platform.machine()} | dict(pairs)


# Of x86: vendor, family, models, and the name of what was built so.
GENERATIONS = (
    ("AuthenticAMD", 23, range(0x30), "zen"),
    ("AuthenticAMD", 23, range(0x30, 0x100), "zen2"),
    ("AuthenticAMD", 25, (*range(0x10), *range(0x20, 0x60)), "zen3"),
    ("AuthenticAMD", 25, (*range(0x10, 0x20), *range(0x60, 0xB0)), "zen4"),
    ("AuthenticAMD", 26, range(0x100), "zen5"),
    ("GenuineIntel", 6, (60, 61, 63, 69, 70, 71, 79, 86), "haswell"),
    ("GenuineIntel", 6, (78, 85, 94, 142, 158, 165, 166), "skylake"),
    ("GenuineIntel", 6, (106, 108, 125, 126), "icelake"),
    ("GenuineIntel", 6, (143, 207), "sapphirerapids"),
    ("GenuineIntel", 6, (173, 174), "graniterapids"),
)
INSTRUCTIONS = {"x86_64_v4": "avx512", "x86_64_v3": "avx2", "baseline": platform.machine()}


def name(cpu: dict[str, str], variant: str) -> str:
    """Return a name for files: product, generation, instruction set, as ``epyc-zen5-avx512``.

    Parameters
    ----------
    cpu : dict
        As ``cpu`` returns it.
    variant : str
        Kernels in use, as ``fastbackprop.kernel_info`` says them.
    """
    family, model = (int(cpu.get(key, "-1")) for key in ("cpu family", "model"))
    generation = [
        title
        for vendor, of_family, models, title in GENERATIONS
        if (vendor, of_family) == (cpu.get("vendor_id"), family) and model in models
    ]
    # Names are "AMD EPYC 9654 96-Core Processor", "Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz".
    product = re.sub(r"\((r|tm)\)|@.*|\d+-core\b", " ", cpu["model name"].lower())
    fillers = ("amd", "intel", "cpu", "processor")
    words = [word for word in re.findall(r"[a-z0-9]+", product) if word not in fillers]
    instructions = INSTRUCTIONS.get(variant, variant).replace("_", "-").lower()
    return "-".join([*words, *generation, instructions])


def _caches() -> dict[str, str]:
    """Size of each cache that the first core sees."""
    caches = {}
    for folder in sorted(CPU.glob("index*")):
        level, kind, size = (
            (folder / name).read_text().strip() for name in ("level", "type", "size")
        )
        caches[f"L{level}{'' if kind == 'Unified' else kind[0].lower()}"] = size
    return caches


def _openblas() -> str:
    """Name the CPU for which OpenBLAS has chosen its kernels, where threadpoolctl can tell."""
    import numpy  # noqa: F401 - whose OpenBLAS it is

    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return "unknown"
    names = {x["architecture"] for x in threadpool_info() if x.get("internal_api") == "openblas"}
    return ", ".join(sorted(names)) or "none"


def description(cores: list[int]) -> dict[str, Any]:
    """Return what a reader needs to know to compare figures."""
    import fastbackprop as fb

    facts, variant = cpu(), fb.kernel_info()["variant"]
    family = {key: facts[key] for key in ("cpu family", "model", "stepping") if key in facts}
    return {
        "name": name(facts, variant),
        "cpu": facts["model name"],
        **family,
        "cores": os.cpu_count(),
        "cores used": len(cores) or "not pinned",
        "caches": _caches(),
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "free-threaded": not getattr(sys, "_is_gil_enabled", lambda: True)(),
        "kernels": variant,
        "openblas": _openblas(),
    }
