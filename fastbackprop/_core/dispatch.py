"""Picks the kernels once: the best variant that this CPU and this build have.

FASTBACKPROP_KERNELS forces one. A forced variant is used or refused, never
replaced by another, so that a test of a variant can't silently test something else.
"""

import importlib
import importlib.util
import os
from functools import cache
from typing import Any

from fastbackprop._core.sources import PACKAGE, digest_of_sources

_COMPILED = {
    "fastbackprop._core.cpu": "that was never built",
    "fastbackprop._core.cyutility": "that was built when it had fewer of them",
    "fastbackprop._core.lock": "that was built when it had fewer of them",
}
try:
    import fastbackprop._core.cpu as cpu  # not "from": the error must name the module
    import fastbackprop._core.lock  # noqa: F401 - compiled too, and first missing in an old build
except ModuleNotFoundError as error:
    if error.name not in _COMPILED or digest_of_sources() is None:
        raise
    raise ImportError(
        f"fastbackprop in {PACKAGE} is a folder of sources {_COMPILED[error.name]}: "
        f"type 'pip install -e .' in {PACKAGE.parent}, or leave that folder."
    ) from None

__all__ = ["DTYPES", "VARIANTS", "built_variants", "kernel_info", "kernels", "missing_features"]

DTYPES = ("float32", "float64")
ENVIRONMENT_VARIABLE = "FASTBACKPROP_KERNELS"

# Best first. What each variant's compiler flags allow the compiler to use, as the
# x86-64 psABI defines its levels v2, v3 and v4; FMA as such comes with v3.
_V2 = frozenset({"cx16", "lahf_lm", "popcnt", "sse3", "ssse3", "sse4_1", "sse4_2"})
_V3 = _V2 | {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"}
_V4 = _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
VARIANTS: dict[str, frozenset[str]] = {"x86_64_v4": _V4, "x86_64_v3": _V3, "baseline": _V2}


def missing_features(variant: str) -> list[str]:
    """Return the names of the CPU features that a variant needs and this CPU (or OS) lacks."""
    features = cpu.features()
    needed = (
        frozenset({"neon"}) if variant == "baseline" and "neon" in features else VARIANTS[variant]
    )
    return sorted(needed - features)


def built_variants() -> list[str]:
    """Return the variants that this installation has modules for, best first."""
    # Found as they will be imported: a frozen program has no files beside this one.
    return [
        variant
        for variant in VARIANTS
        if all(importlib.util.find_spec(_module_name(variant, dtype)) for dtype in DTYPES)
    ]


def _module_name(variant: str, dtype: object) -> str:
    return f"fastbackprop._kernels.{variant}_{dtype}"


def check_cpu() -> None:
    """Refuse a CPU that no variant runs on.

    Raises
    ------
    ImportError
        If the CPU lacks what every variant needs; the message names it.
    """
    if lacks := missing_features("baseline"):
        raise ImportError(
            f"fastbackprop needs at least x86-64-v2 or aarch64; this CPU lacks {', '.join(lacks)}."
        )


# On import, and the package imports this module first: NumPy's wheels need x86-64-v2
# too, and die by an illegal instruction where it is missing.
check_cpu()


@cache
def chosen_variant() -> str:
    """Return the variant for this process.

    Raises
    ------
    ImportError
        If the forced variant is unknown, not built or not supported here, or if
        none was built that runs on this CPU.
    """
    usable = [variant for variant in built_variants() if not missing_features(variant)]
    valid = ", ".join(usable) or "none"
    forced = os.environ.get(ENVIRONMENT_VARIABLE, "")
    if not forced:
        if usable:
            return usable[0]
        if not built_variants() and digest_of_sources() is not None:
            raise ImportError(
                f"No kernels were found in {PACKAGE}, which is a folder of sources: "
                f"type 'pip install -e .' in {PACKAGE.parent}, or leave that folder."
            )
        if not built_variants():
            raise ImportError(
                "No kernels were found; a frozen program must hold them too, as it does by "
                "'pyinstaller --collect-all fastbackprop'."
            )
        raise ImportError("No kernels were built that run on this CPU.")
    if forced not in VARIANTS:
        raise ImportError(f"{ENVIRONMENT_VARIABLE} must be one of {valid}, got {forced!r}.")
    if forced not in built_variants():
        raise ImportError(f"{ENVIRONMENT_VARIABLE}={forced} was not built; usable here: {valid}.")
    if forced not in usable:
        lacks = ", ".join(missing_features(forced))
        raise ImportError(
            f"{ENVIRONMENT_VARIABLE}={forced} needs {lacks}, which this CPU or OS lacks; usable: "
            f"{valid}."
        )
    return forced


@cache
def kernels(dtype: object) -> Any:
    """Return the kernel module for float32 or float64, by name or dtype; imported on first use."""
    module = importlib.import_module(_module_name(chosen_variant(), dtype))
    if digest_of_sources() not in (None, module.sources):
        raise ImportError(
            f"The kernels in {PACKAGE} were built from other sources than those beside them: "
            f"type 'pip install -e .' in {PACKAGE.parent} again."
        )
    return module


def kernel_info() -> dict[str, Any]:
    """Tell which kernels run, and why.

    Returns
    -------
    dict
        ``variant``: the instruction set in use. ``fma``: whether it fuses multiply
        and add; without it results agree with the other variants to rounding only,
        with it to the last bit. ``built`` and ``supported``: lists of variants, best
        first. ``features``: what the CPU has of all that a variant could need.
        ``debug``: whether bounds checks and assertions are compiled in.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> sorted(fb.kernel_info())
    ['built', 'debug', 'features', 'fma', 'supported', 'variant']
    """
    module = kernels("float32")
    return {
        "variant": chosen_variant(),
        "fma": module.has_fma,
        "built": built_variants(),
        "supported": [variant for variant in VARIANTS if not missing_features(variant)],
        "features": sorted(cpu.features()),
        "debug": module.is_debug,
    }
