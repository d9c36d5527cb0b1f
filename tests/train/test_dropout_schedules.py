"""A schedule for the rate of dropout: of steps, in fits and by hand, in files and checkpoints."""

import copy
import pickle

import numpy as np
import pytest
from privates import n_forwards_of, step_by_step

import fastbackprop as fb

X = np.random.default_rng(0).normal(size=(60, 5)).astype("f4")
Y = (X @ np.ones((5, 2)) > 0).astype("f4")
RATES = [0.0, 0.5, 0.25, 0.75]


def by_steps(step):
    return RATES[step % 4]


def new_trainer(rate, n_threads=1, **options):
    model = fb.mlp([5, 40, 2], output_activation="sigmoid", dropout=rate, seed=3)
    return fb.Trainer(
        model, "binary_cross_entropy", fb.Adam(0.01), batch_size=16, seed=0, n_threads=n_threads,
        **options,
    )  # fmt: skip


def parameters_after(trainer, **options):
    trainer.fit(X, Y, **options)
    return trainer.model.get_parameters().tobytes()


def test_each_forward_by_hand_has_the_rate_of_its_number():
    model = fb.Sequential([fb.Dropout(by_steps), fb.Dense(400, 400, weight_init=np.eye(400))])
    ones = np.ones((50, 400))
    for step in range(8):
        assert n_forwards_of(model) == step
        rate = RATES[step % 4]
        outputs = model.forward(ones)
        assert abs(np.mean(outputs == 0) - rate) < 0.02
        np.testing.assert_allclose(outputs[outputs != 0], 1 / (1 - rate), rtol=1e-6)
        np.testing.assert_array_equal(model.predict(ones), ones)


def test_masks_are_those_of_a_fixed_rate():
    """Of the same forward, with the same number."""
    ones, models = np.ones((9, 30)), []
    for rate in (by_steps, 0.5):
        layers = [fb.Dropout(rate), fb.Dense(30, 30, weight_init=np.eye(30))]
        models.append(fb.Sequential(layers, seed=7))
    outputs = [[model.forward(ones) for _ in range(2)][1] for model in models]
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize("schedule", [fb.schedules.Linear(0.0, 0.5), by_steps, fb.Cosine(0.4)])
def test_a_fit_has_the_bits_of_a_loop_and_of_any_threads(schedule, monkeypatch):
    whole = parameters_after(new_trainer(schedule), epochs=3)
    assert whole != parameters_after(new_trainer(0.3), epochs=3)
    assert whole == parameters_after(new_trainer(schedule, n_threads=3), epochs=3)
    step_by_step(monkeypatch)
    assert whole == parameters_after(new_trainer(schedule), epochs=3)

    own = fb.BinaryCrossEntropy()
    trainer = new_trainer(schedule)
    other = fb.Trainer(
        trainer.model, lambda y_hat, y: own(y_hat, y), fb.Adam(0.01), batch_size=16, seed=0
    )
    assert whole == parameters_after(other, epochs=3)


def test_a_schedule_with_a_length_goes_over_each_fit():
    given = parameters_after(new_trainer(fb.schedules.Linear(0.1, 0.6, n_steps=12)), epochs=3)
    assert given == parameters_after(new_trainer(fb.schedules.Linear(0.1, 0.6)), epochs=3)
    trainer = new_trainer(fb.schedules.Linear(0.1, 0.6))
    for call in (lambda: trainer.step(X, Y), lambda: trainer.model.forward(X)):
        with pytest.raises(ValueError, match=r"^n_steps of Linear must be given outside of fit"):
            call()
    assert n_forwards_of(trainer.model) == 0


def test_batches_have_it_too():
    batches = [(X[i : i + 16], Y[i : i + 16]) for i in range(0, 60, 16)]
    whole = parameters_after(new_trainer(fb.Cosine(0.5)), epochs=2, shuffle=False)
    trainer = new_trainer(fb.Cosine(0.5))
    trainer.fit_batches(batches, epochs=2)
    assert trainer.model.get_parameters().tobytes() == whole


@pytest.mark.parametrize("rate", [fb.schedules.Linear(0.0, 0.5), fb.Warmup(fb.Cosine(0.5), 3)])
def test_files_pickles_and_checkpoints_keep_it(rate, tmp_path):
    whole = parameters_after(new_trainer(rate), epochs=4)
    trainer = new_trainer(rate)
    trainer.fit(X, Y, epochs=4, callbacks=[fb.Checkpoint(tmp_path / "c", every_epochs=3)])
    again = fb.Trainer.resume(tmp_path / "c")
    assert parameters_after(again, epochs=4) == whole

    trainer.model.save(tmp_path / "m")
    for model in (fb.load(tmp_path / "m"), pickle.loads(pickle.dumps(trainer.model))):
        assert model.layers[1].rate == rate
        assert repr(model.layers[1]) == f"Dropout({rate!r})"
        np.testing.assert_array_equal(model.predict(X), trainer.model.predict(X))
    assert f"rate {rate!r}" in trainer.model.summary()


def test_a_function_is_the_rate_of_now_in_files_and_no_part_of_checkpoints(tmp_path):
    trainer = new_trainer(by_steps)
    for _ in range(3):
        trainer.step(X, Y)
    trainer.model.save(tmp_path / "m")
    assert fb.load(tmp_path / "m").layers[1].rate == RATES[3]
    with pytest.raises(TypeError, match=r"^the rate of layers\[1\] must be a number or a schedule"):
        trainer.save_checkpoint(tmp_path / "c")
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("wrong", [lambda step: 1.0, lambda step: -0.1, lambda step: np.nan])
def test_rates_out_of_range_are_refused_before_the_step(wrong):
    trainer = new_trainer(wrong)
    before = trainer.model.get_parameters()
    for call in (trainer.fit, trainer.step):
        with pytest.raises(ValueError, match=r"^The schedule of layers\[1\] must give rates of at"):
            call(X, Y)
    np.testing.assert_array_equal(trainer.model.get_parameters(), before)
    with pytest.raises(TypeError, match=r"^rate must be"):
        fb.Dropout(float)


def test_gradients_and_explanations_have_the_mask_of_their_step():
    model = fb.mlp([5, 40, 2], output_activation="sigmoid", dropout=by_steps, seed=3)
    model.forward(X)
    assert fb.gradient_check(model, X[:4], Y[:4], loss="binary_cross_entropy")
    e = fb.explain(model, X[:4], Y[:4], loss="binary_cross_entropy")
    mask = np.asarray(e.to_dict()["layers"][1]["a"]) == 0
    forward = model.forward(X[:4])
    assert mask.mean() > 0.3
    np.testing.assert_allclose(forward, e.to_dict()["layers"][-1]["a"])


def test_a_plateau_lowers_the_rate():
    rate = fb.schedules.ReduceOnPlateau(0.5, patience=1, monitor="validation_loss")
    trainer = new_trainer(rate)
    trainer.fit(X, Y, epochs=3, validation_data=(X, Y))
    with pytest.raises(ValueError, match=r"validation_loss"):
        new_trainer(rate).fit(X, Y)


def test_who_only_looks_sees_the_rate_of_the_fit():
    """Of its first step, and then of the last one: there is no other length to go by."""
    rate = fb.schedules.Linear(0.2, 0.7)
    trainer = new_trainer(rate, diagnose=True)  # the fit looks, too
    loss = {"loss": "binary_cross_entropy"}
    for expected in (0.2, 0.7 - 0.5 / 8):
        for model in (trainer.model, copy.deepcopy(trainer.model)):
            e = fb.explain(model, X[:4], Y[:4], **loss)
            assert e.layers[1].rate == pytest.approx(expected)
            kept = e.layers[1].derivative[e.layers[1].derivative > 0]
            np.testing.assert_allclose(kept, 1 / (1 - expected), rtol=1e-6)
            assert f"Dropout, rate {expected:.4g}" in str(e)
            assert fb.gradient_check(model, X[:4], Y[:4], **loss)
            fb.diagnose(model, X, Y, **loss)
        trainer.fit(X, Y, epochs=2)
    with pytest.raises(ValueError, match=r"^n_steps of Linear must be given outside of fit"):
        trainer.model.forward(X)


def test_explained_steps_are_the_length():
    trainer = new_trainer(fb.Cosine(0.8))
    e = fb.explain_training(trainer, X, Y, steps=4)
    rates = [e[k].layers[1].rate for k in range(4)]
    np.testing.assert_allclose(rates, [fb.Cosine(0.8, n_steps=4)(k) for k in range(4)])
    for k in range(4):  # before a step and after it the mask is the same
        kept = e[k].layers[1].derivative.max()
        assert kept == pytest.approx(1 / (1 - rates[k]), rel=1e-6)
    twin = new_trainer(fb.Cosine(0.8, n_steps=4))
    fb.explain_training(twin, X, Y, steps=4)
    np.testing.assert_array_equal(trainer.model.get_parameters(), twin.model.get_parameters())
