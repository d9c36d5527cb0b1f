"""A grid search over fastbackprop's classifier, on the workers of a Dask cluster.

``python examples/search_on_a_cluster.py`` starts two worker processes on this machine and searches
with them, then with this process alone: the same scores to the last bit, since a fit has the same
bits in any process. In a clone it needs ``pip install -e ".[sklearn]" dask distributed``.

For a real cluster only ``client`` changes: ``Client("tcp://scheduler:8786")``, or a cluster of
dask-jobqueue or dask-kubernetes. Its workers need fastbackprop, scikit-learn and one thread each
(``dask worker --nthreads 1 --nworkers N``); the processors may differ, as long as all have FMA.
What ``scatter`` names is sent to each worker once instead of with each task.
"""

import warnings

import joblib
from dask.distributed import Client, LocalCluster
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from fastbackprop.sklearn import MLPClassifier


def search() -> GridSearchCV:
    """Return the search, not begun."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    pipeline = make_pipeline(MinMaxScaler(), MLPClassifier(max_iter=30, random_state=0))
    grid = {
        "mlpclassifier__hidden_layer_sizes": [(32,), (64, 32)],
        "mlpclassifier__learning_rate_init": [0.001, 0.01],
    }
    return GridSearchCV(pipeline, grid, cv=3)


def main() -> None:
    """Search twice, and compare."""
    X, y = load_digits(return_X_y=True)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        print(f"{len(client.scheduler_info()['workers'])} workers")
        with joblib.parallel_backend("dask", scatter=[X, y]):
            shared = search().fit(X, y)
    alone = search().fit(X, y)
    print(shared.best_params_, f"{shared.best_score_:.4f}")
    scores = [s.cv_results_["mean_test_score"].tobytes() for s in (shared, alone)]
    weights = [s.best_estimator_[-1].coefs_[0].tobytes() for s in (shared, alone)]
    same = scores[0] == scores[1] and weights[0] == weights[1]
    print("the same to the last bit" if same else "DIFFERENT")


if __name__ == "__main__":  # workers are processes that import this file
    main()
