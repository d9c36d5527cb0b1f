"""How many threads: arguments, environment variables, CPUs and quotas."""

import math
import os

import numpy as np
import pytest
from privates import cgroup_quota, replace_run, sharing
from privates import threads as _threads

import fastbackprop as fb


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2"])
def test_a_number_of_threads_that_is_none_is_refused(value):
    error, model = ValueError if type(value) is int else TypeError, fb.mlp([2, 1], seed=0)
    words = f"n_threads must be an integer of at least 1, got {value!r}."
    for use in [
        lambda: fb.Trainer(model, "half_squared_error", n_threads=value),
        lambda: model.predict([[1.0, 2.0]], n_threads=value),
        lambda: model.predict(np.ones((1, 2), "f4"), n_threads=value),
    ]:
        with pytest.raises(error) as caught:
            use()
        assert str(caught.value) == words


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "abc", "4,2"])
def test_an_environment_variable_of_ours_that_is_no_number_is_refused(value, monkeypatch):
    monkeypatch.setenv("FASTBACKPROP_NUM_THREADS", value)
    model = fb.mlp([2, 1], seed=0)
    for use in [
        lambda: fb.Trainer(model, "half_squared_error"),
        lambda: model.predict([[1.0, 2.0]]),
    ]:
        with pytest.raises(ValueError) as caught:
            use()
        assert (
            str(caught.value)
            == f"FASTBACKPROP_NUM_THREADS must be an integer of at least 1, got {value!r}."
        )
    assert fb.Trainer(model, "half_squared_error", n_threads=2)  # nobody asks for it


def test_thousands_of_threads_are_refused(monkeypatch):
    model = fb.mlp([2, 1], seed=0)
    for value in [1025, 2**26, 2**31, 2**63]:
        with pytest.raises(ValueError, match=f"^n_threads must be at most 1,024, got {value:,}.$"):
            fb.Trainer(model, "half_squared_error", n_threads=value)
    monkeypatch.setenv("FASTBACKPROP_NUM_THREADS", str(2**26))
    with pytest.raises(
        ValueError, match=r"^FASTBACKPROP_NUM_THREADS must be at most 1,024, got 67,108,864.$"
    ):
        model.predict([[1.0, 2.0]])
    monkeypatch.delenv("FASTBACKPROP_NUM_THREADS")
    with pytest.raises(ValueError, match=r"^n_threads must be at most 1,024"):
        model.predict(np.ones((1, 2), "f4"), n_threads=2**70)


# /proc/self/cgroup, files below /sys/fs/cgroup, CPUs' worth of time
GROUPS = {
    "none": (None, {}, math.inf),
    "no limit": ("0::/", {"cpu.max": "max 100000"}, math.inf),
    "version 2": ("0::/", {"cpu.max": "150000 100000"}, 1.5),
    "a slice": ("0::/user.slice/job", {"user.slice/job/cpu.max": "200000 100000"}, 2),
    "a slice in one with less": (
        "0::/a/b",
        {"a/cpu.max": "100000 100000", "a/b/cpu.max": "400000 100000", "cpu.max": "max 100000"},
        1,
    ),
    "known by another path inside": ("0::/docker/123", {"cpu.max": "300000 100000"}, 3),
    "above what is mounted": ("0::/../..", {"cpu.max": "300000 100000"}, 3),
    "version 1": (
        "4:cpu,cpuacct:/job\n3:memory:/job",
        {
            "cpu,cpuacct/job/cpu.cfs_quota_us": "250000",
            "cpu,cpuacct/job/cpu.cfs_period_us": "100000",
        },
        2.5,
    ),
    "version 1, no limit": (
        "4:cpu:/",
        {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
        math.inf,
    ),
    "a period of 0": ("0::/", {"cpu.max": "100000 0"}, math.inf),
    "nonsense": ("nonsense\n0::/", {"cpu.max": "a b c"}, math.inf),
}


@pytest.mark.parametrize("name", GROUPS)
def test_the_quota_of_a_control_group_is_found(name, tmp_path, monkeypatch):
    groups, files, expected = GROUPS[name]
    if groups is not None:
        (tmp_path / "groups").write_text(groups)
    for path, text in files.items():
        (tmp_path / "fs" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / path).write_text(text)
    monkeypatch.setattr(_threads, "CGROUPS_OF_PROCESS", tmp_path / "groups")
    monkeypatch.setattr(_threads, "CGROUPS", tmp_path / "fs")
    assert cgroup_quota() == expected


# argument, FASTBACKPROP_NUM_THREADS, OMP_NUM_THREADS, used by large work on 8 CPUs, by small work
SAID = [
    (None, None, None, 8, 1),
    (2, "3", "4", 2, 2),
    (12, "3", "4", 12, 12),
    (2, "abc", "abc", 2, 2),
    (None, "3", "4", 3, 1),
    (None, "4", "3", 4, 1),
    (None, "16", None, 8, 1),
    (None, " 3 ", "", 3, 1),
    (None, "", "4", 4, 1),
    (None, None, "16", 8, 1),
    (None, None, "1", 1, 1),
    (None, None, "4,2", 4, 1),
    (None, None, " 4 , 2", 4, 1),
    (None, None, "0", 8, 1),
    (None, None, "abc", 8, 1),
    (None, None, "-2", 8, 1),
    (None, None, "9" * 5000, 8, 1),
    (None, None, ",", 8, 1),
]


def set_environment(monkeypatch, ours, common):
    for name, value in zip(_threads.ENVIRONMENT_VARIABLES, (ours, common), strict=True):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)


@pytest.mark.parametrize(("argument", "ours", "common", "large", "small"), SAID)
def test_an_argument_is_an_order_and_variables_are_limits_ours_before_the_common_one(
    argument, ours, common, large, small, monkeypatch
):
    set_environment(monkeypatch, ours, common)
    monkeypatch.setattr(_threads, "available_cpus", lambda: 8)
    n_threads = _threads.check_n_threads(argument)
    assert _threads.share_of_work(n_threads, 1e9) == (large, large > 8)
    assert _threads.share_of_work(n_threads, 1e6) == (small, small > 8)
    if argument is None:
        assert _threads.most_threads() == large


def test_trainer_and_predict_use_the_number_that_was_said(monkeypatch):
    calls = []

    def run(work, n_threads):
        calls.append(n_threads)
        return work.run()

    replace_run(monkeypatch, run)
    set_environment(monkeypatch, None, None)
    model, X = fb.mlp([2, 1], seed=0), [[1, 2]] * 70
    for argument, ours, used in [(None, None, 1), (5, "3", 5), (None, "3", 1), (1, "3", 1)]:
        set_environment(monkeypatch, ours, None)
        trainer = fb.Trainer(model, "half_squared_error", n_threads=argument)
        for use in [
            lambda trainer=trainer: trainer.fit(X, [1] * 70, batch_size=70),
            lambda trainer=trainer: trainer.step(X, [1] * 70),
            lambda trainer=trainer: trainer.evaluate(X, [1] * 70),
            lambda argument=argument: model.predict(X, n_threads=argument),
        ]:
            calls.clear()
            use()
            assert calls == [used]


def test_small_work_is_done_by_one_thread_and_large_work_by_no_more_than_there_are_cpus(
    monkeypatch,
):
    unit = sharing.LEAST_SHARED / 2
    assert _threads.share_of_work(None, 0) == _threads.share_of_work(None, 1.9 * unit) == (1, False)
    assert 1 <= _threads.share_of_work(None, 1e15)[0] <= _threads.available_cpus() <= os.cpu_count()
    monkeypatch.setattr(_threads, "available_cpus", lambda: 4)
    assert [_threads.share_of_work(None, x * unit)[0] for x in (1, 2, 3, 4, 5, 1e6)] == [
        1,
        2,
        3,
        4,
        4,
        4,
    ]
    assert [_threads.share_of_work(n, 1) for n in (1, 4, 5, 16)] == [
        (1, False),
        (4, False),
        (5, True),
        (16, True),
    ]


def test_no_more_threads_than_chunks_and_none_that_meeting_costs_more_than_it_brings():
    phases = sharing.phases_of_step(1e10, n_chunks=8, n_pieces=3)
    assert [phase.n_chunks for phase in phases] == [8, 3]
    assert sum(phase.operations for phase in phases) == 1e10
    taken = [sharing.worth(phases, most) for most in range(1, 100)]
    # Eight chunks: five, six or seven threads take as long as four.
    assert taken == [1, 2, 3, 4, 4, 4, 4, *[8] * 92]
    # However finely it is cut, each meeting costs more with more threads.
    endless = [sharing.worth((sharing.Phase(x * 1e6, 1024),), 1024) for x in (5, 6, 100, 3000)]
    assert endless == sorted(endless)
    assert endless[:2] == [1, 2]
    assert 100 < endless[-1] < 400
    at_once = sharing.Phase(1e12, 1)
    assert sharing.worth((at_once,), 64) == 1
    assert 16 <= sharing.worth((at_once, sharing.Phase(1e12, 64)), 64) < 64, "half is one thread's"


def test_a_default_is_what_a_step_or_a_prediction_can_be_cut_into(monkeypatch):
    """On a machine with many CPUs, by the batch and the chunks of weights."""
    calls = []

    def run(work, n_threads):
        calls.append(n_threads)
        work.limit(1)  # no matter here
        return work.run()

    replace_run(monkeypatch, run)
    set_environment(monkeypatch, None, None)
    monkeypatch.setattr(_threads, "available_cpus", lambda: 64)
    model, X = fb.mlp([784, 128, 10], seed=0), np.ones((256, 784), "f4")
    trainer = fb.Trainer(model, "half_squared_error", seed=0)
    trainer.fit(X, np.ones((256, 10)), batch_size=128, progress_bar=False)
    trainer.fit(X, np.ones((256, 10)), batch_size=16, progress_bar=False)
    model.predict(X)
    of_batches, of_few, of_rows = calls[0], calls[1], calls[-1]
    assert 8 <= of_batches <= 20
    assert 1 < of_few < of_batches
    assert of_rows == 4, "chunks of 64 rows"


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="A process can't be tied to CPUs here."
)
def test_a_process_on_one_cpu_uses_one_thread():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert _threads.available_cpus() == 1
        assert _threads.share_of_work(None, 1e15) == (1, False)
        assert _threads.share_of_work(2, 1e15) == (2, True)
    finally:
        os.sched_setaffinity(0, before)
