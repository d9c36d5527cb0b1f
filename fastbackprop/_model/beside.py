"""Files that are replaced whole or left alone, whatever happens meanwhile."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO

__all__ = ["write_beside"]

# How to open a file that has no name yet, so that a process that is killed leaves nothing behind;
# 0 where the system, unlike Linux, has no such files.
UNNAMED = os.O_WRONLY | os.O_TMPFILE if hasattr(os, "O_TMPFILE") else 0


def write_beside(path: str | os.PathLike[str], *chunks: bytes | memoryview) -> None:
    """Write beside the path, then rename: the file there is whole, or the old one.

    A link stays, and what it points to is replaced. A file that is replaced hands down its
    permissions, and its owner where the process may give files away.

    Raises
    ------
    OSError
        If the folder can't be written, or ``path`` is a folder, a device, a pipe or a socket;
        nothing at ``path`` has changed.
    """
    target = Path(os.path.realpath(path))
    replaced = _file_to_replace(path, target)
    # Short, since the longest name that a folder takes may be the target's. Not by tempfile,
    # which makes files that only their owner may read.
    beside = target.parent / f".fastbackprop-{secrets.token_hex(8)}.tmp"
    try:
        if not (UNNAMED and _write(beside, replaced, chunks, UNNAMED)):
            _write(beside, replaced, chunks, 0)
        os.replace(beside, target)
    except BaseException as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            # The user knows the path, not the file beside it.
            raise OSError(error.errno, os.strerror(error.errno), os.fspath(path)) from error
        raise
    _sync_folder(target.parent)


def _write(
    path: Path,
    replaced: os.stat_result | None,
    chunks: tuple[bytes | memoryview, ...],
    unnamed: int,
) -> bool:
    """Write a new file, and sync it; returns False where it can't be without a name at first."""
    # What is to be read by few is never written to where many can read it.
    mode = 0o666 if replaced is None else 0o600
    try:
        file = _open(path, mode, unnamed)
    except OSError:
        if unnamed:
            return False
        raise
    with file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        if replaced is not None:
            _hand_down(replaced, file.fileno() if unnamed else path)
        os.fsync(file.fileno())
        return not unnamed or _name(file.fileno(), path)


def _open(path: Path, mode: int, unnamed: int) -> IO[bytes]:
    if unnamed:
        return open(path.parent, "wb", opener=lambda folder, _: os.open(folder, unnamed, mode))
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode))


def _name(descriptor: int, path: Path) -> bool:
    """Give an open file this name; returns whether that worked."""
    try:
        # The number of a folder is there so that Python calls linkat, which follows the link.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor)
    except OSError:
        return False
    return True


def _file_to_replace(path: str | os.PathLike[str], target: Path) -> os.stat_result | None:
    """Return the status of the file that will be replaced, None for a new one, or refuse."""
    try:
        status = os.stat(path)  # not of the target: a pipe behind /dev/stdout has none
    except (FileNotFoundError, NotADirectoryError):
        status = None
    if target.is_dir():
        raise IsADirectoryError(f"path must be a file, got the directory {str(path)!r}.")
    if status is not None and not stat.S_ISREG(status.st_mode):
        raise OSError(f"path must be a file, got {str(path)!r}, a device, a pipe or a socket.")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"path must be in a folder that is there, got {str(path)!r}.")
    return status


def _hand_down(replaced: os.stat_result, path: Path | int) -> None:
    """Give a new file the owner, the group and the permissions of the one that it replaces."""
    if hasattr(os, "chown"):
        with suppress(OSError):
            os.chown(path, -1, replaced.st_gid)
        with suppress(OSError):
            os.chown(path, replaced.st_uid, -1)
    os.chmod(path, stat.S_IMODE(replaced.st_mode))  # last, since chown takes away some of it


def _sync_folder(folder: Path) -> None:
    """Wait until the disk knows the new name, where the system can tell.

    An error changes nothing: the file is whole under its name.
    """
    with suppress(OSError):  # Windows opens no folders, and some file systems don't sync them
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
