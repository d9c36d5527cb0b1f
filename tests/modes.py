"""The processor's mode of arithmetic, set as a program beside us might: for tests.

``with mode("down"):`` rounds downwards on this thread, "up" upwards, "flush" makes subnormal
numbers 0. At its end the mode must be what was set, and what was there before comes back.
"""

import ctypes
import platform
import sys
from contextlib import contextmanager

import pytest

MODES = ("down", "up", "flush")
IS_X86 = platform.machine().lower() in ("x86_64", "amd64")

# Where fenv_t has the register, its bits for each mode, and those that are not flags of what
# happened. glibc and musl have the same structure, macOS its own.
if IS_X86:
    PLACE = (4 if sys.platform == "darwin" else 28, 4)  # MXCSR
    BITS = {"down": 0x2000, "up": 0x4000, "flush": 0x8040}
    CONTROL = 0xFFC0
else:
    PLACE = (8, 8) if sys.platform == "darwin" else (0, 4)  # FPCR
    BITS = {"down": 2 << 22, "up": 1 << 22, "flush": 1 << 24}
    CONTROL = 0xFFFFFFFF


def _environment():
    if sys.platform == "win32":
        pytest.skip("Windows' C library has no fenv_t that ctypes could look into.")
    library, buffer = ctypes.CDLL(None), (ctypes.c_char * 64)()
    assert library.fegetenv(buffer) == 0
    return library, buffer


def control_register():
    """MXCSR or FPCR of this thread."""
    _, buffer = _environment()
    start, size = PLACE
    return int.from_bytes(buffer[start : start + size], "little")


def set_control_register(value):
    library, buffer = _environment()
    start, size = PLACE
    buffer[start : start + size] = value.to_bytes(size, "little")
    assert library.fesetenv(buffer) == 0


@contextmanager
def mode(name):
    before = control_register()
    there = before | BITS[name]
    set_control_register(there)
    try:
        yield
        now = control_register()
    finally:
        set_control_register(before)
    assert now & CONTROL == there & CONTROL, f"the mode {there:#x} was left as {now:#x}"
