"""A fit that is killed at any moment ends with the same bits; a disk that fails leaves the old."""

import errno
import hashlib
import io
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from privates import FOR_SCRIPTS, at_pauses

import fastbackprop as fb

KILLS = 100
X = np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32)
Y = np.sin(X[:, :2])
EPOCHS = 12


def trainer_at(path):
    """The trainer of the checkpoint, or a new one."""
    if path.exists():
        return fb.Trainer.resume(path)
    model = fb.mlp([6, 32, 2], activation="tanh", seed=3)
    optimizer = fb.Adam(fb.Cosine(0.01, 0.001))
    return fb.Trainer(model, "half_squared_error", optimizer, batch_size=16, seed=4)


def finish(path, breathe=0.0):
    """The fit, with a checkpoint at every step; returns the SHA-256 of what it leaves."""
    trainer = trainer_at(path)

    def look():
        trainer.save_checkpoint(path)
        time.sleep(breathe)

    at_pauses(trainer, look)
    history = trainer.fit(X, Y, epochs=EPOCHS, on_epoch_end=lambda history: look())
    assert len(history) == EPOCHS
    figures = np.array(history.loss)
    return hashlib.sha256(trainer.model.get_parameters().tobytes() + figures.tobytes()).hexdigest()


# A parent that has everything imported forks children, so that each lives from its first step.
SCRIPT = """
import signal

from test_killed import *

step_by_step(pytest.MonkeyPatch())
folder, n_kills = Path(sys.argv[1]), int(sys.argv[2])
expected = finish(folder / "whole")
rng, path, n_finished, n = np.random.default_rng(1), folder / "killed", 0, 0
while n < n_kills:
    child = os.fork()
    if child == 0:
        try:
            digest = finish(path, 0.0002)
            path.unlink()  # begin anew
            os._exit(0 if digest == expected else 3)
        except BaseException as error:
            sys.stderr.write(f"{type(error).__name__}: {error}")
            sys.stderr.flush()
        os._exit(4)
    time.sleep(rng.uniform(0, 0.15))
    os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), status
    n += status != 0
    n_finished += status == 0
    if path.exists():
        fb.Trainer.resume(path)  # whole, whatever happened
assert finish(path) == expected
left = {x.name for x in folder.iterdir()} - {"whole", "killed"}
print("same", n_finished, len(left))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
def test_a_hundred_kills_at_random_moments_lead_to_the_same_bits(tmp_path):
    path = str(Path(__file__).parent)
    command = [sys.executable, "-P", "-W", "ignore", "-c", FOR_SCRIPTS + SCRIPT]
    done = subprocess.run(
        [*command, str(tmp_path), str(KILLS)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    word, _, n_left = done.stdout.split()
    assert word == "same"
    if hasattr(os, "O_TMPFILE"):  # a file has its name beside the target for some microseconds
        assert int(n_left) < KILLS / 10


def saved(path):
    """A trainer that has a checkpoint, and what that holds."""
    trainer = trainer_at(path)
    trainer.fit(X, Y)
    trainer.save_checkpoint(path)
    trainer.fit(X, Y)
    return trainer, path.read_bytes()


class FailingFile(io.FileIO):
    """A file that takes a part of what is written, as disks may, and fails in the end."""

    room, number = 0, 0

    def write(self, data):
        if self.room <= 0 and self.number:
            raise OSError(self.number, os.strerror(self.number))
        n = min(len(data), 1000)
        type(self).room -= n
        return super().write(memoryview(data).cast("B")[:n])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.95])
def test_a_disk_that_fails_in_the_middle_leaves_the_old_checkpoint(
    share, number, tmp_path, monkeypatch
):
    path = tmp_path / "c"
    trainer, before = saved(path)
    with monkeypatch.context() as patch:
        patch.setattr(FailingFile, "room", int(share * len(before)) - 1000)
        patch.setattr(FailingFile, "number", number)
        patch.setattr("builtins.open", buffered_failing_file)
        with pytest.raises(OSError, match=os.strerror(number)) as caught:
            trainer.save_checkpoint(path)
    assert (caught.value.errno, caught.value.filename) == (number, str(path))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["c"]
    trainer.save_checkpoint(path)  # nothing of the trainer has changed
    assert fb.Trainer.resume(path).fit(X, Y).loss == trainer.fit(X, Y).loss


def buffered_failing_file(path, mode, **more):
    return io.BufferedWriter(FailingFile(path, mode, **more))


def test_short_writes_are_written_to_the_end(tmp_path, monkeypatch):
    path = tmp_path / "c"
    trainer, _ = saved(path)
    with monkeypatch.context() as patch:
        patch.setattr(FailingFile, "number", 0)
        patch.setattr("builtins.open", buffered_failing_file)
        trainer.save_checkpoint(path)
    again = fb.Trainer.resume(path)
    assert again.model.get_parameters().tobytes() == trainer.model.get_parameters().tobytes()


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has these")
def test_permissions_stay_a_link_is_followed_and_long_names_are_taken(tmp_path):
    path = tmp_path / ("c" * 255)
    trainer, _ = saved(path)
    path.chmod(0o600)
    link = tmp_path / "link"
    link.symlink_to(path)
    trainer.save_checkpoint(link)
    assert path.stat().st_mode & 0o777 == 0o600
    assert link.is_symlink()
    assert fb.Trainer.resume(path).history.loss == trainer.history.loss
    assert sorted(os.listdir(tmp_path)) == sorted([path.name, "link"])
