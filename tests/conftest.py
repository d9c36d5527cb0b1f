"""The tests run against the package that is imported: a wheel, or `pip install -e .`."""

from pathlib import Path

import fastbackprop


def pytest_report_header(config):
    info = fastbackprop.kernel_info()
    folder = Path(fastbackprop.__file__).parent
    kernels = f"kernels {info['variant']}, debug {info['debug']}"
    return f"fastbackprop {fastbackprop.__version__} in {folder}, {kernels}"
