"""The accuracy that fits and evaluations give by themselves: by the weights of samples."""

import numpy as np
import pytest
from privates import step_by_step

import fastbackprop as fb

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4)).astype("f4")
LABELS = (X @ RNG.normal(size=(4, 3))).argmax(axis=1)
YES = (X[:, :1] + RNG.normal(size=(200, 1)) > 0).astype("f4")
MANY = (X[:, :3] + RNG.normal(size=(200, 3)) > 0).astype("f4")
WEIGHTS = RNG.random(200) * (np.arange(200) % 5 > 0)  # some are 0
CASES = {
    "labels": ("cross_entropy", "softmax", LABELS),
    "one-hot": ("cross_entropy", "softmax", np.eye(3, dtype="f4")[LABELS]),
    "smoothed": (fb.CrossEntropy(label_smoothing=0.1), "softmax", LABELS),
    "focal": ("focal_cross_entropy", "softmax", LABELS),
    "focal one-hot": ("focal_cross_entropy", "softmax", np.eye(3, dtype="f4")[LABELS]),
    "yes": ("binary_cross_entropy", "sigmoid", YES),
    "many": ("binary_cross_entropy", "sigmoid", MANY),
}


def new_trainer(case, rate=0.1, dtype="float32", **options):
    loss, activation, y = CASES[case]
    n_out = y.shape[1] if y.ndim == 2 else 3
    model = fb.mlp([4, 8, n_out], output_activation=activation, seed=1, dtype=dtype)
    return fb.Trainer(model, loss, fb.Adam(rate), batch_size=16, seed=0, **options)


def right(model, X, y):
    """Return the share of each sample's answers that are right."""
    y_hat = model.predict(X)
    if model.layers[-1].activation == "sigmoid":
        return ((y_hat > 0.5) == (y > 0.5)).mean(axis=1)
    labels = y if y.ndim == 1 else y.argmax(axis=1)
    return (y_hat.argmax(axis=1) == labels).astype(float)


def expected_of(model, y, weights, rows=slice(None)):
    return np.average(right(model, X[rows], y[rows]), weights=weights)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_evaluate_and_validation(case, dtype):
    trainer, y = new_trainer(case, dtype=dtype), CASES[case][2]
    w = WEIGHTS.astype(dtype)
    validation = X[50:], y[50:], w[50:]
    history = trainer.fit(X, y, epochs=3, validation_data=validation)
    assert history.validation_accuracy[-1] == pytest.approx(
        expected_of(trainer.model, y, w[50:], slice(50, None)), rel=1e-12
    )
    figures = trainer.evaluate(X, y, sample_weight=w)
    assert figures["accuracy"] == pytest.approx(expected_of(trainer.model, y, w), rel=1e-12)
    assert figures["accuracy"] != trainer.evaluate(X, y)["accuracy"]
    asked = trainer.evaluate(X, y, sample_weight=w, metrics=["accuracy"])
    assert asked["accuracy"] == pytest.approx(figures["accuracy"], rel=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_few_rows_on_the_quick_path(case):
    """The second call of a kind takes it, with the bits of the first."""
    trainer, y = new_trainer(case), CASES[case][2]
    rows, w = np.ascontiguousarray(X[:20]), WEIGHTS[:20].astype("f4")
    long, quick = (trainer.evaluate(rows, y[:20], sample_weight=w) for _ in range(2))
    assert long == quick
    expected = expected_of(trainer.model, y, w, slice(20))
    assert quick["accuracy"] == pytest.approx(expected, rel=1e-12)
    assert trainer.evaluate(rows, y[:20])["accuracy"] == right(trainer.model, rows, y[:20]).mean()


@pytest.mark.parametrize("case", CASES)
def test_training_counts_by_weight(case, monkeypatch):
    """With a rate that moves nothing, the epoch's accuracy is that of the model."""
    y = CASES[case][2]
    trainer = new_trainer(case, rate=1e-30)
    weighted = trainer.fit(X, y, sample_weight=WEIGHTS).accuracy[0]
    expected = expected_of(trainer.model, y, WEIGHTS.astype("f4"))
    assert weighted == pytest.approx(expected, rel=1e-12)
    batches = fb.Batches(X, y, sample_weight=WEIGHTS, batch_size=16, shuffle=False)
    assert trainer.fit_batches(batches).accuracy[0] == pytest.approx(expected, rel=1e-12)
    trainer = new_trainer(case)
    fits = [trainer.fit(X, y, epochs=3, sample_weight=WEIGHTS)]
    for options in ({"n_threads": 3}, {}):
        if not options:
            step_by_step(monkeypatch)
        fits.append(new_trainer(case, **options).fit(X, y, epochs=3, sample_weight=WEIGHTS))
    assert fits[0].accuracy == fits[1].accuracy == fits[2].accuracy


def test_all_right_is_exactly_one():
    trainer = new_trainer("labels")
    y = trainer.model.predict(X).argmax(axis=1)
    trainer = new_trainer("labels", rate=1e-30)
    for seed in range(5):
        w = np.random.default_rng(seed).random(200)
        assert trainer.fit(X, y, sample_weight=w, validation_data=(X, y, w)).accuracy == [1.0]
        assert trainer.history.validation_accuracy == [1.0]


def test_weights_of_classes_have_no_part_in_it():
    y = CASES["labels"][2]
    plain = new_trainer("labels", rate=1e-30)
    by_class = new_trainer("labels", rate=1e-30, class_weight={0: 5.0, 2: 0.5})
    assert by_class.fit(X, y).accuracy == plain.fit(X, y).accuracy
    expected = plain.fit(X, y, sample_weight=WEIGHTS).accuracy
    assert by_class.fit(X, y, sample_weight=WEIGHTS).accuracy == expected


def test_batches_with_and_without_weights_count_together():
    y = CASES["labels"][2]
    trainer = new_trainer("labels", rate=1e-30)
    batches = [(X[:64], y[:64]), (X[64:128], y[64:128], WEIGHTS[64:128]), (X[128:], y[128:])]
    history = trainer.fit_batches(batches)
    w = np.ones(200)
    w[64:128] = WEIGHTS[64:128].astype("f4")
    assert history.accuracy[0] == pytest.approx(expected_of(trainer.model, y, w), rel=1e-12)


def test_it_goes_on_in_the_middle_of_an_epoch(tmp_path):
    def fit(trainer, *callbacks):
        return trainer.fit(
            X, LABELS, epochs=3, sample_weight=WEIGHTS * 1e30, callbacks=callbacks, drop_last=True
        )

    class Stop(fb.Callback):
        def on_batch_end(self, trainer, step, loss):
            if step == 17:
                trainer.save_checkpoint(tmp_path / "c")

    whole = fit(new_trainer("labels"), Stop())
    assert fit(fb.Trainer.resume(tmp_path / "c")).accuracy == whole.accuracy
