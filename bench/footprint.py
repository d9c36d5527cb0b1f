"""What a library costs before it does anything: import time, installed size, memory.

Each is measured in fresh processes. As a program (``python footprint.py PEER import|train``) it is
such a process, and prints its peak memory.
"""

import contextlib
import json
import re
import statistics
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from itertools import pairwise
from pathlib import Path
from typing import Any

from peers import OURS, find

IMPORTS = {
    "numpy": "numpy",
    "torch": "torch",
    "jax": "jax, jax.numpy",
    "sklearn": "sklearn.neural_network",
}
REPEATS = 5
WIDTHS, BATCH, N_BATCHES = (784, 512, 512, 10), 256, 32
MB = 1e6


def peak_memory() -> float | None:
    """Return the peak resident memory of this process in MB, or None where it can't be told."""
    with contextlib.suppress(OSError):  # elsewhere there is no /proc
        # Not getrusage: at exec, Linux lets its maximum start from that of the parent.
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024 / MB
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MB  # in bytes on macOS


def import_seconds(name: str) -> list[float]:
    """Return the seconds that a new Python takes to import NumPy, and a library after it."""
    clock = "c.append(time.perf_counter())"
    library = IMPORTS.get(name, name)
    code = (
        f"import time; c = []; {clock}; import numpy; {clock}; import {library}; {clock}; print(c)"
    )
    command = [sys.executable, "-c", code]
    runs = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for _ in range(REPEATS + 1)
    ]
    clocks = [json.loads(run) for run in runs[1:]]  # the first may have had to read the disk
    return [statistics.median(clock[i + 1] - clock[i] for clock in clocks) for i in range(2)]


def normalized(name: str) -> str:
    """Return a distribution's name as all spellings of it agree."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(name: str) -> dict[str, int]:
    """Return the bytes of a distribution's files and of those it requires here, by name."""
    sizes: dict[str, int] = {}

    def visit(name: str) -> None:
        try:
            package = distribution(name)
        except PackageNotFoundError:
            return  # required on other systems only
        if '"editable": true' in (package.read_text("direct_url.json") or ""):
            return  # its metadata lists none of the files that are used
        key = normalized(package.name)
        if key in sizes:
            return
        paths = [Path(package.locate_file(file)) for file in package.files or []]
        sizes[key] = sum(path.stat().st_size for path in paths if path.is_file())
        for requirement in package.requires or []:
            if "extra ==" not in requirement:
                visit(re.match(r"[\w.-]+", requirement)[0])

    visit(name)
    return sizes


def memory(name: str, what: str) -> float | None:
    """Return the peak memory in MB of a process that imports a peer, or also trains with it."""
    command = [sys.executable, __file__, name, what]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def expected_training() -> dict[str, float]:
    """Return the MB that our training needs: data, parameters, copies to fall back on, scratch."""
    import fastbackprop as fb

    model = fb.mlp(WIDTHS, output_activation="softmax", seed=0)
    parameters = sum(a * b + b for a, b in pairwise(WIDTHS)) * 4 / MB
    from fastbackprop._core import dispatch

    size = dispatch.kernels(model.dtype).workspace_size(model._network, BATCH, False)
    scratch = size * model.dtype.itemsize / MB
    n = BATCH * N_BATCHES
    data = n * (WIDTHS[0] * 4 + 8 + 8) / MB  # float32 rows, int64 labels, the order
    return {"data": data, "parameters": parameters, "state": 2 * parameters, "scratch": scratch}


def measure(name: str) -> dict[str, Any]:
    """Measure one peer; sizes in MB."""
    module = find(name)
    sizes = installed(module.DISTRIBUTION)
    if name != "numpy":
        sizes.pop("numpy", None)
    key = normalized(module.DISTRIBUTION)
    trains = name != "onnxruntime"
    numpy_seconds, library_seconds = import_seconds(name)
    result = {
        "import_seconds": numpy_seconds + library_seconds,
        "import_seconds_after_numpy": library_seconds,
        "size": sizes[key] / MB if key in sizes else None,  # None: it has no metadata
        "size_with_dependencies": sum(sizes.values()) / MB if key in sizes else None,
        "memory_imported": memory(name, "import"),
        "memory_training": memory(name, "train") if trains else None,
    }
    if name == OURS:
        result["expected_training"] = expected_training()
    return result


def main(name: str, what: str) -> None:
    """Import, perhaps train for an epoch, and print the peak memory."""
    module = find(name)
    if what == "train":
        from workloads import Task, Workload

        task = Task(Workload("train", WIDTHS, BATCH, N_BATCHES))
        runner = module.training(task)[0]()
        runner.timed(N_BATCHES)()
    print(json.dumps(peak_memory()))


if __name__ == "__main__":
    main(*sys.argv[1:])
