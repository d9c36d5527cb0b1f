"""Scaling inside of the model, in training: fitted once, to the rows that are trained on."""

import copy
import pickle

import numpy as np
import pytest
from privates import rows

import fastbackprop as fb

SECONDS = 1.7e9 + np.arange(64.0)  # float32 has one value for all of them


def data(n=192):
    rng = np.random.default_rng(0)
    X = np.column_stack([np.resize(SECONDS, n), rng.normal(5, 300, n), rng.integers(0, 2, n)])
    return X, 1000 + 50 * np.sin((X[:, 0] - SECONDS[0]) / 10) + X[:, 1] / 30


def network(n_out=1, **options):
    options = {"activation": "tanh", "scale_inputs": True, "scale_targets": True, **options}
    return fb.mlp([3, 8, n_out], seed=0, **options)


def trained(model, X, y, loss="mean_squared_error", epochs=3, seed=0, **arguments):
    trainer = fb.Trainer(model, loss, fb.Adam(0.01), seed=seed)
    trainer.fit(X, y, epochs=epochs, **arguments)
    return trainer


def standardized(x, like=None):
    like = x if like is None else like
    return ((x - like.mean(axis=0)) / like.std(axis=0)).astype(np.float32)


def test_a_fit_has_the_bits_of_one_on_rows_that_were_scaled_before():
    X, y = data()
    trainer = trained(network(), X, y, validation_data=(X[:50], y[:50]))
    model = trainer.model
    other = fb.mlp([3, 8, 1], activation="tanh", seed=0)
    Z = ((X - model.layers[0].center) / model.layers[0].scale).astype(np.float32)
    t = model.scaled_targets(y)
    theirs = trained(other, Z, t, validation_data=(Z[:50], t[:50]))
    np.testing.assert_array_equal(model.get_parameters(), other.get_parameters())
    assert trainer.history.loss == theirs.history.loss
    assert trainer.history.validation_loss == theirs.history.validation_loss
    assert trainer.evaluate(X, y) == theirs.evaluate(Z, t)
    np.testing.assert_allclose(Z, standardized(X), atol=1e-6)


def test_it_learns_seconds_that_float32_cannot_tell_apart():
    X, y = data(512)
    history = fb.Trainer(network(), "mean_squared_error", fb.Adam(0.02), seed=0).fit(
        X, y, epochs=150, metrics=["r2", "rmse"]
    )
    assert history.r2[-1] > 0.95
    assert history.rmse[-1] == pytest.approx(y.std() * np.sqrt(1 - history.r2[-1]), rel=1e-6)
    blind = trained(fb.mlp([3, 8, 1], seed=0, activation="tanh"), standardized(X), y)
    assert blind.history.loss[-1] > 1000  # in the user's units


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("source", ["float64", "fortran", "list", "sparse", "frame", "mapped"])
def test_the_bits_are_those_of_any_source(source, n_threads, tmp_path):
    X, y = data()
    reference = trained(network(), X, y).model.get_parameters()
    if source == "sparse":
        sparse = pytest.importorskip("scipy.sparse", reason="scipy is not installed")
        given = sparse.csr_matrix(X)
    elif source == "frame":
        polars = pytest.importorskip("polars", reason="polars is not installed")
        given = polars.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2].astype(np.int8)})
    elif source == "mapped":
        np.save(tmp_path / "x.npy", X)
        given = np.load(tmp_path / "x.npy", mmap_mode="r")
    else:
        kinds = {"float64": X, "fortran": np.asfortranarray(X), "list": X.tolist()}
        given = kinds[source]
    trainer = fb.Trainer(
        network(), "mean_squared_error", fb.Adam(0.01), seed=0, n_threads=n_threads
    )
    trainer.fit(given, y, epochs=3)
    np.testing.assert_array_equal(trainer.model.get_parameters(), reference)
    np.testing.assert_array_equal(trainer.model.predict(given), trainer.model.predict(X))


def test_rows_that_are_converted_batch_by_batch_have_the_same_bits(monkeypatch):
    X, y = data()
    whole = trained(network(), X, y, validation_split=0.25)
    monkeypatch.setattr(rows, "PART", 16 * 3 * 4)
    parts = trained(network(), X, y, validation_split=0.25)
    np.testing.assert_array_equal(parts.model.get_parameters(), whole.model.get_parameters())
    assert parts.history.validation_loss == whole.history.validation_loss


def test_only_rows_that_are_trained_on_count():
    X, y = data()
    model = trained(network(), X, y, validation_data=(10 * X, 10 * y)).model
    np.testing.assert_allclose(model.layers[0].scale, X.std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(model.target_center, [y.mean()], rtol=1e-12)
    split = trained(network(), X, y, validation_split=0.5).model
    assert (split.layers[0].center != model.layers[0].center).any()
    weights = np.arange(len(X)) % 3  # of 0, 1 and 2
    weighted = trained(network(), X, y, sample_weight=weights).model
    np.testing.assert_allclose(weighted.layers[0].center, X[weights > 0].mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(weighted.target_scale, [y[weights > 0].std()], rtol=1e-12)
    far = X.copy()
    far[weights == 0] = 1e30
    same = trained(network(), far, y, sample_weight=weights).model
    np.testing.assert_array_equal(same.layers[0].scale, weighted.layers[0].scale)


def test_classes_without_weight_do_not_count():
    X, _ = data()
    y = (X[:, 1] > 0).astype(int)
    model = fb.mlp([3, 2], output_activation="softmax", scale_inputs=True, seed=0)
    fb.Trainer(model, "cross_entropy", class_weight={0: 0.0}, seed=0).fit(X, y)
    np.testing.assert_allclose(model.layers[0].center, X[y == 1].mean(axis=0), rtol=1e-12)


def test_it_is_fitted_once():
    X, y = data()
    trainer = trained(network(), X, y)
    layer, model = trainer.model.layers[0], trainer.model
    before = layer.center, layer.scale, model.target_center
    trainer.fit(2 * X, 2 * y)
    trainer.reset()
    trainer.fit(3 * X, 3 * y)
    fb.Trainer(model, "huber", seed=1).fit(4 * X, 4 * y)
    assert (layer.center, layer.scale, model.target_center) == before


def test_what_is_fitted_before_stays():
    X, y = data()
    model = network()
    model.fit_scaling(2 * X, y)
    trained(model, X, y)
    np.testing.assert_allclose(model.layers[0].center, 2 * X.mean(axis=0))


WRONG = {
    "X": {"X": np.full((192, 3), np.nan)},
    "columns": {"X": np.ones((192, 4))},
    "y": {"y": np.full(192, np.inf)},
    "validation": {"validation_data": (np.ones((2, 3)), [np.nan, 1.0])},
    "validation X": {"validation_data": (np.full((2, 3), 1e300), [1.0, 1.0])},
    "metrics": {"metrics": ["nothing"]},
    "epochs": {"epochs": 0},
    "split": {"validation_split": 1.5},
    "y beyond float32": {"y": np.linspace(0, 1e60, 192)},
}


@pytest.mark.parametrize("what", WRONG)
def test_a_fit_that_is_refused_fits_nothing(what):
    X, y = data()
    model = network()
    with pytest.raises((ValueError, TypeError)):
        fb.Trainer(model, "mean_squared_error", seed=0).fit(**{"X": X, "y": y, **WRONG[what]})
    assert not model.layers[0].is_fitted
    assert model.target_center is None


def test_step_and_batches_after_fit_scaling_have_the_bits_of_fit():
    X, y = data()
    fit = trained(network(), X, y, epochs=2).model
    for batches in (
        fb.Batches(X, y, seed=0),
        fb.Batches(X / 8, y, seed=0, scale=8.0),
    ):
        model = network()
        model.fit_scaling(X, y)
        trainer = fb.Trainer(model, "mean_squared_error", fb.Adam(0.01), seed=0)
        trainer.fit_batches(batches, epochs=2, validation_data=(X, y), metrics=["rmse"])
        np.testing.assert_array_equal(model.get_parameters(), fit.get_parameters())
        assert trainer.history.validation_rmse[-1] > trainer.history.validation_loss[-1]


def test_a_loop_by_hand_has_the_bits_of_step():
    X, y = data(32)
    models = [network() for _ in range(2)]
    for model in models:
        model.fit_scaling(X, y)
    trainer = fb.Trainer(models[0], "huber", fb.SGD(0.1))
    loss, sgd = fb.Huber(), fb.SGD(0.1)
    for _ in range(3):
        cost, d_y_hat = loss(models[1].forward(X), models[1].scaled_targets(y))
        assert trainer.step(X, y) == cost
        models[1].backward(d_y_hat)
        sgd.step(models[1])
    np.testing.assert_array_equal(models[0].get_parameters(), models[1].get_parameters())
    assert trainer.step(X[0], y[0]) > 0


def test_quantiles_come_back_in_the_users_units():
    X, _ = data(600)
    y = 1e6 + 1e4 * np.random.default_rng(2).normal(size=600)
    model = network(2)
    trainer = trained(model, X, y, fb.Quantile([0.1, 0.9]), epochs=60)
    low, high = model.predict(X).mean(axis=0)
    assert low == pytest.approx(np.quantile(y, 0.1), abs=3000)
    assert high == pytest.approx(np.quantile(y, 0.9), abs=3000)
    assert trainer.history.loss[-1] < 1
    scaled = model.forward(X) * y.std() + y.mean()
    np.testing.assert_allclose(model.predict(X), scaled, rtol=1e-6)
    np.testing.assert_allclose(
        model.jacobian(X[:3])[:, 1], model.input_gradient(X[:3], output=1), rtol=1e-6
    )
    by_hand, _ = fb.Quantile([0.1, 0.9])(model.forward(X), model.scaled_targets(y))
    assert by_hand == pytest.approx(trainer.evaluate(X, y)["loss"], rel=1e-6)


def test_means_and_logarithms_of_variances_come_back_in_the_users_units():
    X, _ = data(600)
    noise = np.random.default_rng(2).normal(size=(600, 2))
    y = [1e5, -300] + noise * [2e3, 5]
    model = network(4, dtype="float64")
    trainer = trained(model, X, y, "gaussian_nll", epochs=80, metrics=["rmse"])
    means, logarithms = np.split(model.predict(X).mean(axis=0), 2)
    assert (np.abs(means - y.mean(axis=0)) < [400, 1]).all()
    np.testing.assert_allclose(np.exp(logarithms / 2), y.std(axis=0), rtol=0.2)
    z, scale = model.forward(X, training=False), y.std(axis=0)
    np.testing.assert_allclose(model.predict(X)[:, 2:], z[:, 2:] + 2 * np.log(scale), rtol=1e-12)
    slopes = model.jacobian(X[:4])
    step = 1e-3 * model.layers[0].scale
    for j in range(3):
        moved = np.zeros(3)
        moved[j] = step[j]
        difference = (model.predict(X[:4] + moved) - model.predict(X[:4] - moved)) / (2 * step[j])
        np.testing.assert_allclose(slopes[:, :, j], difference, rtol=1e-4, atol=1e-9)
    mean_error = np.sqrt(((model.predict(X)[:, :2] - y) ** 2).mean(axis=0)).mean()
    assert trainer.evaluate(X, y, metrics=["rmse"])["rmse"] == pytest.approx(mean_error)
    # In the user's units a likelihood is the scaled one plus log scale.
    user = fb.GaussianNLL()(model.predict(X), y)[0]
    assert user == pytest.approx(trainer.evaluate(X, y)["loss"] + np.log(scale).mean())


def test_what_outputs_mean_is_told_by_trainers_or_by_hand():
    X, y = data()
    model = network(2)
    model.fit_scaling(X, y)
    with pytest.raises(RuntimeError, match="must know what its 2 outputs say of 1 target"):
        model.predict(X)
    quantiles, gaussian = copy.deepcopy(model), copy.deepcopy(model)
    fb.Trainer(quantiles, fb.Quantile([0.1, 0.9])).step(X, y)
    fb.Trainer(gaussian, "gaussian_nll").step(X, y)
    for told, loss in ((quantiles, fb.Quantile([0.1, 0.9])), (gaussian, fb.GaussianNLL())):
        model.set_parameters(told.get_parameters())
        model.fit_scaling(X, y, loss=loss)
        np.testing.assert_array_equal(model.predict(X), told.predict(X))
        for other in (pickle.loads(pickle.dumps(told)), copy.copy(told)):
            np.testing.assert_array_equal(other.predict(X[0]), told.predict(X[0]))
    assert not np.array_equal(quantiles.predict(X)[:, 1], gaussian.predict(X)[:, 1])


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "hinge", "poisson"])
def test_losses_of_classes_and_counts_refuse_scaled_targets(loss):
    with pytest.raises(ValueError, match=r"^(scale_targets must be False for loss|loss '.*' must)"):
        fb.Trainer(network(), loss)
    assert network().target_scale is None


def test_targets_that_are_missing_do_not_count():
    X, _ = data()
    y = np.random.default_rng(3).normal([5, 1e4], [1, 100], (192, 2))
    y[::3, 0] = y[1::4, 1] = np.nan
    loss = fb.MeanSquaredError(mask_missing=True)
    model = network(2)
    trainer = trained(model, X, y, loss, metrics=["mae"])
    np.testing.assert_allclose(model.target_center, np.nanmean(y, axis=0), rtol=1e-12)
    np.testing.assert_allclose(model.target_scale, np.nanstd(y, axis=0), rtol=1e-12)
    errors = np.abs(model.predict(X) - y)
    figures = trainer.evaluate(X, y, metrics=["mae"])
    assert figures["mae"] == pytest.approx(np.nanmean(errors, axis=0).mean(), rel=1e-5)
    assert np.isfinite(trainer.history.loss).all()
    by_hand = loss(model.forward(X), model.scaled_targets(y))[0]
    assert figures["loss"] == pytest.approx(by_hand, rel=1e-6)
    empty = y.copy()
    empty[:, 0] = np.nan
    model = network(2)
    trained(model, X, empty, loss)
    assert (model.target_center[0], model.target_scale[0]) == (0, 1)


def test_a_loss_of_ones_own_gets_scaled_targets_and_metrics_those_of_the_user():
    X, y = data()
    seen = []

    def loss(y_hat, target):
        seen.append((y_hat.copy(), target.copy()))
        return float(((y_hat - target) ** 2).mean()), 2 * (y_hat - target) / target.size

    def largest(target, y_hat):
        return float(max(target.max(), y_hat.max()))

    model = network()
    trainer = trained(model, X, y, loss, epochs=1, metrics=[largest])
    assert all(np.abs(target).max() < 5 for _, target in seen)
    assert trainer.history.largest[-1] > 900
    assert trainer.evaluate(X, y)["loss"] == pytest.approx(trainer.evaluate(X, y)["loss"])
    model = network()
    with pytest.raises(ValueError, match=r"y must have shape \(n, 1\) to be scaled, got"):
        trained(model, X, np.ones((192, 5)), loss)
    assert not model.layers[0].is_fitted


def test_metrics_are_in_the_users_units_in_double():
    X, _ = data()
    y = 1.7e9 + np.resize(np.arange(64.0), 192)  # which float32 can't hold
    trainer = trained(network(), X, y, epochs=100, metrics=["rmse", "mae"])
    assert trainer.history.rmse[-1] < 15
    assert trainer.history.mae[-1] < 15


def test_early_stopping_goes_by_figures_in_either_unit():
    X, y = data()
    stop = fb.EarlyStopping(monitor="validation_rmse", patience=2)
    trainer = trained(
        network(), X, y, epochs=50, validation_split=0.2, metrics=["rmse"], callbacks=[stop]
    )
    assert min(trainer.history.validation_rmse) > 1


def test_a_resumed_fit_has_the_same_bits(tmp_path):
    X, y = data()
    path = tmp_path / "c.safetensors"
    arguments = {"epochs": 4, "validation_split": 0.25, "metrics": ["rmse"]}
    whole = fb.Trainer(network(), "mean_squared_error", fb.Adam(0.01), seed=0)
    whole.fit(X, y, **arguments)
    trainer = fb.Trainer(network(), "mean_squared_error", fb.Adam(0.01), seed=0)

    class Save(fb.Callback):
        def on_batch_end(self, trainer, step, loss):
            if step == 7:
                trainer.save_checkpoint(path)

    trainer.fit(X, y, **arguments, callbacks=[Save()])
    resumed = fb.Trainer.resume(path)
    assert resumed.model.layers[0].is_fitted
    history = resumed.fit(X, y, **arguments)
    assert history.loss == whole.history.loss
    assert history.validation_rmse == whole.history.validation_rmse
    np.testing.assert_array_equal(resumed.model.get_parameters(), whole.model.get_parameters())
    np.testing.assert_array_equal(resumed.model.predict(X), whole.model.predict(X))
    again = pickle.loads(pickle.dumps(whole))
    assert again.fit(X, y).loss == whole.fit(X, y).loss


def test_find_learning_rate_scales_but_leaves_the_model_unfitted():
    X, y = data()
    trainer = fb.Trainer(network(), "mean_squared_error", seed=0)
    search = trainer.find_learning_rate(X, y)
    assert not trainer.model.layers[0].is_fitted
    trainer.model.fit_scaling(X, y)
    assert trainer.find_learning_rate(X, y).losses == search.losses


def test_explain_training_has_the_bits_of_steps():
    X, y = data(64)
    models = [network() for _ in range(2)]
    for model in models:
        model.fit_scaling(X, y)
    trainers = [fb.Trainer(model, "mean_squared_error", fb.SGD(0.1)) for model in models]
    steps = fb.explain_training(trainers[0], X, y, steps=2)
    for first in (0, 32):
        trainers[1].step(X[first : first + 32], y[first : first + 32])
    np.testing.assert_array_equal(models[0].get_parameters(), models[1].get_parameters())
    np.testing.assert_allclose(steps[0].x, X[:32], rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(steps[0].x[:, 0] - SECONDS[0], np.arange(32), atol=1e-3)


def test_warnings_and_advice_look_at_scaled_rows():
    X, y = data()
    with pytest.raises(fb.DivergenceError) as caught:
        fb.Trainer(network(), "mean_squared_error", fb.SGD(9.0), seed=0).fit(X, y, epochs=50)
    assert "(the inputs)" not in str(caught.value)
    assert "(the targets)" not in str(caught.value)
    model = fb.mlp([3, 1], scale_inputs=True, weight_init="zeros", seed=0)
    model.layers[1].trainable = False
    trainer = fb.Trainer(model, "mean_squared_error", seed=0)
    with pytest.warns(fb.TrainingWarning, match="All 192 rows get the same outputs"):
        trainer.fit(X, y, epochs=40)


def test_a_trainer_with_other_outputs_is_refused_once_they_are_fitted():
    X, y = data()
    model = network(2)
    trained(model, X, y, "gaussian_nll")
    before = model.predict(X)
    with pytest.raises(ValueError, match="must take outputs for what they were when"):
        fb.Trainer(model, fb.Quantile([0.1, 0.9]))
    np.testing.assert_array_equal(model.predict(X), before)
    with pytest.raises(ValueError, match="y must have 1 column"):
        model.fit_scaling(X, np.column_stack([y, y]), loss="gaussian_nll")
    model.fit_scaling(X, y, loss=fb.Quantile([0.1, 0.9]))
    fb.Trainer(model, fb.Quantile([0.1, 0.9])).step(X, y)


def test_it_stands_before_layers_of_any_kind():
    X, y = data()
    for layer in (fb.BatchNorm, fb.LayerNorm, lambda: fb.Dropout(0.3)):
        layers = [fb.Standardize(), layer(), fb.Dense(3, 6, activation="tanh"), fb.Dense(6, 1)]
        model = fb.Sequential(layers, seed=0, scale_targets=True, dtype="float64")
        trained(model, X, y)
        assert fb.gradient_check(model, X[:20], y[:20], "mean_squared_error")
        for i in (0, 100):
            np.testing.assert_array_equal(model.predict(X[i]), model.predict(X)[i])


def test_estimators_take_no_model_that_scales_targets():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from fastbackprop import sklearn as estimators

    for options in ({}, {"scale_inputs": False}):
        with pytest.raises(ValueError, match="must have scale_targets=False"):
            estimators.MLPRegressor.from_model(network(**options))
