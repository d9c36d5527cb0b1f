"""scikit-learn's MLPs and ours, with default parameters, on ten data sets: scores and times.

Each data set is split anew for each seed; both estimators get the same split and ``random_state``.
A ratio of times is the median over seeds of theirs by ours, measured in turn in the same run.
"""

import argparse
import sys
import time
import timeit
import warnings
from collections.abc import Callable
from statistics import mean, median, stdev
from typing import Any, NamedTuple

import machine


class DataSet(NamedTuple):
    """What is learned; ``load`` returns X and y."""

    name: str
    estimator: str
    load: Callable[[], tuple[Any, Any]]
    is_large: bool = False


def data_sets() -> list[DataSet]:
    """Return the ten, which scikit-learn ships or makes."""
    from sklearn import datasets as d

    def shipped(load: Callable[..., Any]) -> Callable[[], tuple[Any, Any]]:
        return lambda: load(return_X_y=True)

    classes = {"n_informative": 8, "n_classes": 4, "random_state": 0}
    wide = {"n_informative": 40, "random_state": 0}
    return [
        DataSet("iris", "MLPClassifier", shipped(d.load_iris)),
        DataSet("wine", "MLPClassifier", shipped(d.load_wine)),
        DataSet("breast cancer", "MLPClassifier", shipped(d.load_breast_cancer)),
        DataSet("digits", "MLPClassifier", shipped(d.load_digits)),
        DataSet("diabetes", "MLPRegressor", shipped(d.load_diabetes)),
        DataSet("moons", "MLPClassifier", lambda: d.make_moons(500, noise=0.2, random_state=0)),
        DataSet("circles", "MLPClassifier", lambda: d.make_circles(500, noise=0.1, random_state=0)),
        DataSet(
            "classification 100k x 20",
            "MLPClassifier",
            lambda: d.make_classification(100_000, 20, **classes),
            is_large=True,
        ),
        DataSet(
            "regression 100k x 20",
            "MLPRegressor",
            lambda: d.make_regression(100_000, 20, noise=1, random_state=0),
            is_large=True,
        ),
        DataSet("400 x 4096", "MLPClassifier", lambda: d.make_classification(400, 4096, **wide)),
    ]


class Figures(NamedTuple):
    """Of one estimator and one split."""

    score: float
    fit: float  # seconds
    predict: float
    one_row: float


def measure(module: Any, data: DataSet, split: list[Any], seed: int, epochs: int) -> Figures:
    """Fit, then predict all rows of the test and one of them."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, X_test, y, y_test = split
    scaler = make_pipeline(StandardScaler()).fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    settings = {"max_iter": epochs} if data.is_large else {}
    estimator = getattr(module, data.estimator)(random_state=seed, **settings)
    start = time.perf_counter()
    estimator.fit(X, y)
    fit = time.perf_counter() - start
    rows = [X_test, X_test[:1]]
    n = 3 if data.is_large else 30
    times = [min(timeit.repeat(lambda r=r: estimator.predict(r), number=n)) / n for r in rows]
    return Figures(estimator.score(X_test, y_test), fit, *times)


def line(data: DataSet, seeds: int, epochs: int) -> str:
    """Measure one data set; return its line of the table."""
    import sklearn.neural_network
    from sklearn.model_selection import train_test_split

    import fastbackprop.sklearn

    X, y = data.load()
    theirs, ours = [], []
    for seed in range(1 if data.is_large else seeds):
        split = train_test_split(X, y, random_state=seed)
        theirs.append(measure(sklearn.neural_network, data, split, seed, epochs))
        ours.append(measure(fastbackprop.sklearn, data, split, seed, epochs))

    def score(figures: list[Figures]) -> str:
        scores = [f.score for f in figures]
        spread = f" ± {stdev(scores):.3f}" if len(scores) > 1 else ""
        return f"{mean(scores):.3f}{spread}"

    def ratio(name: str) -> str:
        pairs = zip(theirs, ours, strict=True)
        return f"{median(getattr(a, name) / getattr(b, name) for a, b in pairs):.1f}x"

    seconds = [f"{median(f.fit for f in figures):.3g}" for figures in (theirs, ours)]
    one_row = median(f.one_row for f in ours) * 1e6
    cells = [
        data.name, score(theirs), score(ours), *seconds, ratio("fit"), ratio("predict"),
        f"{one_row:.1f}", ratio("one_row"),
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


HEAD = """\
| data | score, scikit-learn | ours | fit (s) | ours | fit | predict | one row (us) | one row |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"""


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="splits of each data set")
    parser.add_argument("--threads", type=int, default=1, help="cores and threads")
    parser.add_argument(
        "--epochs", type=int, default=200, help="most epochs of the two with 100,000 rows"
    )
    parser.add_argument(
        "--data", default="", help="only data sets whose name contains one of these"
    )
    arguments = parser.parse_args()
    machine.pin(arguments.threads)
    warnings.simplefilter("ignore")  # of fits that haven't converged, in both
    words = arguments.data.split(",")
    print(HEAD)
    for data in data_sets():
        if any(word in data.name for word in words):
            print(line(data, arguments.seeds, arguments.epochs), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
