"""The tests run against the installed package, never against the source folder."""

from pathlib import Path

import fastbackprop

SOURCE = Path(__file__).resolve().parent.parent / "src"


def pytest_configure(config):
    if Path(fastbackprop.__file__).is_relative_to(SOURCE):
        raise RuntimeError(f"The tests need the installed package (pip install .), got the one in {SOURCE}.")


def pytest_report_header(config):
    info = fastbackprop.kernel_info()
    return f"fastbackprop {fastbackprop.__version__}, kernels {info['variant']}, debug {info['debug']}"
