"""Searches on other processes: joblib's own, and a Dask cluster; the same to the last bit."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn isn't installed")

import joblib
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from fastbackprop.sklearn import MLPClassifier

EXAMPLE = Path(__file__).parents[2] / "examples/search_on_a_cluster.py"
X, Y = load_iris(return_X_y=True)
pytestmark = pytest.mark.filterwarnings("default")


def search():
    grid = {"alpha": [1e-4, 1.0], "hidden_layer_sizes": [(5,), (30, 8)]}
    return GridSearchCV(MLPClassifier(max_iter=15, random_state=0), grid, cv=2)


def outcome(fitted):
    best = fitted.best_estimator_
    return [fitted.cv_results_["mean_test_score"], *best.coefs_, best.loss_curve_]


def test_the_workers_of_joblib():
    alone = outcome(search().fit(X, Y))
    with joblib.parallel_config("loky", n_jobs=2):
        shared = outcome(search().fit(X, Y))
    for a, b in zip(alone, shared, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_worker_takes_no_more_threads_than_its_share():
    def threads_of_a_fit(path):
        """How many threads a large fit would take; inside, so that it is sent whole."""
        sys.path.append(path)
        from privates import threads

        return threads.share_of_work(None, 1e12)[0]

    path = str(Path(__file__).parents[1])
    with joblib.parallel_config("loky", n_jobs=2):
        counts = joblib.Parallel()(joblib.delayed(threads_of_a_fit)(path) for _ in range(2))
    assert max(counts) <= max(1, (os.cpu_count() or 1) // 2)


@pytest.mark.skipif(not EXAMPLE.exists(), reason="examples/ is in the repository only")
def test_a_dask_cluster_of_two_processes():
    """The example does it: two workers, X scattered once, a thread each."""
    pytest.importorskip("distributed")
    done = subprocess.run(
        [sys.executable, EXAMPLE], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 workers\n")
    assert done.stdout.endswith("the same to the last bit\n")
