"""A digest of the kernel sources, by which a build that is older than they are is recognised.

setup.py runs this file by its path and compiles the digest into every kernel module;
the modules' digest is compared with that of the sources where they lie beside it, in a clone.
"""

import hashlib
import runpy
from pathlib import Path

__all__ = ["PACKAGE", "digest_of_sources", "written_sources"]

PACKAGE = Path(__file__).resolve().parent.parent
SUFFIXES = {".h", ".pxd", ".pxi", ".pyx"}
FOR_OTHERS = PACKAGE / "__init__.pxd"  # which installations have too, and no module is built from


def written_sources() -> dict[str, str]:
    """What setup.py writes of the tables of activations and losses for the kernels to include."""
    tables = [runpy.run_path(str(PACKAGE / f"_core/{x}.py")) for x in ("activations", "losses")]
    return {name: text for table in tables for name, text in table["kernel_sources"]().items()}


def digest_of_sources() -> str | None:
    """Return the SHA-256 over all kernel sources, or None in an installation, which has none."""
    # Names that begin with a dot are editors' locks.
    paths = sorted(
        path
        for path in PACKAGE.rglob("[!.]*.*")
        if path.suffix in SUFFIXES and path != FOR_OTHERS and path.is_file()
    )
    if not paths:
        return None
    digest = hashlib.sha256()
    for path in paths:
        name, text = path.relative_to(PACKAGE).as_posix(), path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{name} {len(text)}\n".encode() + text)
    for written, lines in written_sources().items():
        digest.update(f"{written} {len(lines)}\n{lines}".encode())
    return digest.hexdigest()
