"""The tests run against the package that `import fastbackprop` finds: a wheel, or `pip install -e .`."""

from pathlib import Path

import fastbackprop


def pytest_report_header(config):
    info = fastbackprop.kernel_info()
    folder = Path(fastbackprop.__file__).parent
    return f"fastbackprop {fastbackprop.__version__} in {folder}, kernels {info['variant']}, debug {info['debug']}"
