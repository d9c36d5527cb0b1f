"""Every optimizer: its formula over 200 steps, the same bits by hand and in training."""

import copy
import pickle
from itertools import product

import numpy as np
import pytest
from optimizer_twins import CASES, TWINS
from privates import OPTIMIZERS, parameters_of, state_of, update_spec_of, values_of
from reference import DTYPES, VARIANTS, Kernels, Layer, kernels

import fastbackprop as fb

RNG = np.random.default_rng(0)
# Of one sign and of both, large and small, and 0.
GRADIENTS = RNG.normal(size=(200, 3, 5)) * 10.0 ** RNG.integers(-6, 3, (3, 5))
GRADIENTS[:, 1] = np.abs(GRADIENTS[:, 1])
GRADIENTS[5:, 2, 0] = 0
START = RNG.normal(size=(3, 5))

on_every_kernel = pytest.mark.parametrize(("variant", "dtype"), list(product(VARIANTS, DTYPES)))
every_case = pytest.mark.parametrize(("name", "settings"), CASES)


def by_hand(optimizer, dtype, gradients=GRADIENTS, start=START):
    """The weights behind each step of optimizer.step."""
    model = fb.Sequential([fb.Dense(3, 5, bias=False, weight_init=start)], dtype=dtype)
    model.forward(np.eye(3))
    history = []
    for g in gradients:
        model.backward(g)  # its inputs are the identity: dC/dW is what is given
        optimizer.step(model)
        history.append(model.layers[0].weight.astype(np.float64))
    return np.array(history), model


def test_each_has_a_twin():
    assert set(OPTIMIZERS) == set(TWINS)


@every_case
def test_float64_follows_the_formula_over_200_steps(name, settings):
    got, model = by_hand(optimizer := OPTIMIZERS[name](**settings), "float64")
    expected = TWINS[name](START, GRADIENTS, **settings)
    assert np.abs(got - expected).max() <= 1e-10 * (1 + np.abs(expected).max())
    state = state_of(optimizer, model)
    assert state.n_steps == 200
    padding = values_of(model).reshape(3, -1)[:, 5:]
    assert not padding.any()


@every_case
def test_float32_follows_the_formula_for_some_steps(name, settings):
    got, _ = by_hand(OPTIMIZERS[name](**settings), "float32", GRADIENTS[:20])
    expected = TWINS[name](START, GRADIENTS[:20].astype(np.float32), **settings)
    assert np.abs(got - expected).max() <= 2e-5 * (1 + np.abs(expected).max())


def test_the_numbers_of_the_formula():
    """As PyTorch gives them."""

    def last(optimizer, gradients, start=0.0):
        model = fb.Sequential([fb.Dense(1, 1, bias=False, weight_init=start)], dtype="float64")
        model.forward([[1.0]])
        for g in gradients:
            model.backward([[g]])
            optimizer.step(model)
        return model.layers[0].weight.item()

    assert last(fb.Adam(1e-3), [1e-8]) == pytest.approx(-5e-4, rel=1e-12)
    assert last(fb.Adam(1e-3), [1]) == pytest.approx(-0.00099999999, abs=1e-14)
    assert last(fb.Adam(1e-3), [1, 2]) == pytest.approx(-0.00196518201, abs=1e-11)
    assert last(fb.Adam(1e-3), [1, 2, 3]) == pytest.approx(-0.00292318323, abs=1e-11)
    assert last(fb.AdamW(1e-3, weight_decay=0.01), [0], 1.0) == pytest.approx(0.99999, abs=1e-12)
    coupled = last(fb.Adam(1e-3, weight_decay=0.01), [0], 1.0)
    assert coupled == pytest.approx(0.999000001, abs=1e-12)


def test_defaults():
    assert [repr(optimizer()) for optimizer in OPTIMIZERS.values()] == [
        "SGD(0.01)", "Adam(0.001)", "AdamW(0.001)", "NAdam(0.002)", "RMSprop(0.01)",
        "Adagrad(0.01)", "Lion(0.0001)", "Rprop(0.01)",
    ]  # fmt: skip
    assert (fb.AdamW().weight_decay, fb.Lion().weight_decay, fb.RMSprop().rho) == (0.01, 1e-3, 0.99)
    assert (fb.NAdam().momentum_decay, fb.Adagrad().epsilon) == (0.004, 1e-10)
    assert repr(fb.Adam(0.1, beta_1=0.8, amsgrad=True)) == "Adam(0.1, beta_1=0.8, amsgrad=True)"


@every_case
def test_training_is_the_loop_by_hand_to_the_bit(name, settings):
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(40, 7)), rng.normal(size=(40, 3))
    results = set()
    for n_threads in (None, 1, 2, 3):
        model = fb.mlp([7, 33, 3], activation="tanh", seed=0)
        optimizer = OPTIMIZERS[name](**settings)
        loss = fb.HalfSquaredError()
        if n_threads is None:
            for _ in range(20):
                _, d = loss(model.forward(X), y)
                model.backward(d)
                optimizer.step(model)
        else:
            trainer = fb.Trainer(model, loss, optimizer, batch_size=40, n_threads=n_threads)
            trainer.fit(X, y, epochs=12, shuffle=False)
            trainer = copy.deepcopy(trainer) if n_threads == 1 else trainer
            trainer = (
                pickle.loads(pickle.dumps(trainer)) if "learning_rate" not in settings else trainer
            )
            for _ in range(8):
                trainer.step(X, y)
            model, optimizer = trainer.model, trainer.optimizer
        results.add(values_of(model).tobytes() + state_of(optimizer, model).buffer.tobytes())
    assert len(results) == 1


@on_every_kernel
@pytest.mark.parametrize("name", TWINS)
def test_a_gradient_that_is_not_finite_is_found_and_undone(variant, dtype, name):
    module = kernels(variant, dtype)
    optimizer = OPTIMIZERS[name]()
    spec = update_spec_of(optimizer, module)
    net = Kernels(variant, dtype, [Layer(np.ones((7, 19)), np.ones(19))])
    state = net.state(spec.n_planes)
    gradients = net.zeros()
    gradients[:] = 0.1
    assert module.correct(net.network, gradients, spec, state.buffer) == -1
    before = net.parameters.values.tobytes() + state.buffer.tobytes()
    snapshot = net.spoiled(net.parameters.values.size + state.buffer.size)
    for wrong in (np.nan, np.inf, -np.inf):
        gradients[37] = wrong
        assert module.correct(net.network, gradients, spec, state.buffer) == -2
        assert module.correct(net.network, gradients, spec, state.buffer, snapshot) == 37
        assert net.parameters.values.tobytes() + state.buffer.tobytes() == before


@pytest.mark.parametrize("name", TWINS)
def test_no_subnormal_number_is_left_by_an_input_that_was_lit_once(name):
    settings = {"momentum": 0.9} if name in ("sgd", "rmsprop") else {}
    for chosen in (settings, {**settings, "centered": True} if name == "rmsprop" else settings):
        optimizer = OPTIMIZERS[name](**chosen)
        model = fb.mlp([4, 8, 1], seed=0)
        trainer = fb.Trainer(model, "half_squared_error", optimizer)
        X = np.zeros((1, 4))
        for step in range(3000):
            X[:] = step == 0
            trainer.step(X, [[0.0]])
        planes = state_of(optimizer, model).planes
        assert not ((planes != 0) & (np.abs(planes) < np.finfo("float32").tiny)).any()


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "lion", "nadam", "rmsprop", "adagrad"])
def test_biases_may_be_left_by_the_decay(name):
    def trained(**settings):
        """Weights and biases after a fit, and after a step by hand, where all inputs are 0."""
        results = []
        for way in ("fit", "by hand"):
            layers = [fb.Dense(3, 4, bias_init=1.0, weight_init=1.0), fb.Dense(4, 2, bias_init=1.0)]
            model, optimizer = fb.Sequential(layers, seed=0), OPTIMIZERS[name](**settings)
            if way == "fit":
                y = model.predict(np.zeros((4, 3)))
                trainer = fb.Trainer(model, "half_squared_error", optimizer, batch_size=4)
                trainer.fit(np.zeros((4, 3)), y)
            else:
                model.forward(np.zeros((2, 3)))
                model.backward(np.zeros((2, 2)))
                optimizer.step(model)
            results.append((model.layers[0].weight.copy(), model.layers[0].bias.copy()))
        return results

    left = trained(weight_decay=0.5, decay_biases=False)
    for (weight, bias), (other, kept) in zip(trained(weight_decay=0.5), left, strict=True):
        assert (weight < 1).all()
        assert (bias < 1).all()
        assert np.array_equal(weight, other)
        assert (kept == 1).all()


def test_rprop_refuses_batches():
    trainer = fb.Trainer(fb.mlp([2, 1], seed=0), "half_squared_error", "rprop", batch_size=4)
    with pytest.raises(
        ValueError, match="batch_size must be the number of rows, 8, for Rprop, whi"
    ):
        trainer.fit(np.zeros((8, 2)), np.zeros(8))
    trainer.fit(np.zeros((4, 2)), np.zeros(4))


REFUSED = {
    "beta_1 must be a finite number of at least 0 and below 1, got 1": lambda: fb.Adam(beta_1=1),
    "epsilon must be a finite number above 0, got 0": lambda: fb.Adam(epsilon=0),
    "amsgrad must be True or False, got 1": lambda: fb.Adam(amsgrad=1),
    "lengthen must be a finite number above 1, got 1": lambda: fb.Rprop(lengthen=1),
    "learning_rate must be a finite number above 0, got 'x'": lambda: fb.Lion("x"),
}


@pytest.mark.parametrize("message", REFUSED)
def test_settings_are_checked(message):
    with pytest.raises((ValueError, TypeError), match=message):
        REFUSED[message]()
    adam = fb.Adam()
    with pytest.raises(AttributeError, match="beta_1 of Adam can't be assigned; make a new one"):
        adam.beta_1 = 0.5
    adam.learning_rate = 0.5
    with pytest.raises(ValueError, match=r"beta_2 must be below 1 in float32, got 0.99999999"):
        fb.Trainer(fb.mlp([1, 1]), "half_squared_error", fb.Adam(beta_2=1 - 1e-9))


@pytest.fixture
def torch():
    """PyTorch with float64, also for what its optimizers keep beside tensors (NAdam's mu)."""
    torch = pytest.importorskip("torch", exc_type=ImportError)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(before)


@every_case
def test_torch_gives_the_same(torch, name, settings):
    """Where PyTorch is installed."""
    if name == "lion":
        pytest.skip("PyTorch has no Lion")
    of_torch = {
        "sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW,
        "nadam": torch.optim.NAdam, "rmsprop": torch.optim.RMSprop,
        "adagrad": torch.optim.Adagrad, "rprop": torch.optim.Rprop,
    }[name]  # fmt: skip
    chosen = dict(settings)
    rate = chosen.pop("learning_rate", OPTIMIZERS[name]().learning_rate)
    names = {"rho": "alpha", "epsilon": "eps"}
    if {"beta_1", "beta_2"} & set(chosen):
        chosen["betas"] = chosen.pop("beta_1", 0.9), chosen.pop("beta_2", 0.999)
    if name == "rprop" and chosen:
        chosen = {
            "etas": (chosen["shorten"], chosen["lengthen"]),
            "step_sizes": (chosen["shortest"], chosen["longest"]),
        }
    chosen = {names.get(key, key): value for key, value in chosen.items()}
    w = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = of_torch([w], lr=rate(0) if callable(rate) else rate, **chosen)
    expected = []
    for step, g in enumerate(GRADIENTS):
        for group in optimizer.param_groups:
            group["lr"] = rate(step) if callable(rate) else rate
        w.grad = torch.tensor(g)
        optimizer.step()
        expected.append(w.detach().numpy().copy())
    got, _ = by_hand(OPTIMIZERS[name](**settings), "float64")
    assert np.abs(got - np.array(expected)).max() <= 1e-11 * (1 + np.abs(expected).max())


@pytest.mark.parametrize("settings", [chosen for name, chosen in CASES if name == "lion"])
def test_optax_gives_the_same_lion(settings):
    """Where JAX and optax are installed."""
    jax, optax = pytest.importorskip("jax"), pytest.importorskip("optax")
    rate = settings.get("learning_rate", fb.Lion().learning_rate)
    decay = settings.get("weight_decay", fb.Lion().weight_decay)
    with jax.enable_x64(True):
        w = jax.numpy.asarray(START)
        expected = []
        state = optax.lion(1.0).init(w)
        for step, g in enumerate(GRADIENTS):
            now = rate(step) if callable(rate) else rate
            lion = optax.lion(now, weight_decay=decay)
            update, state = lion.update(jax.numpy.asarray(g), state, w)
            w = optax.apply_updates(w, update)
            expected.append(np.asarray(w))
    got, _ = by_hand(fb.Lion(**settings), "float64")
    assert expected[-1].dtype == np.float64
    assert np.abs(got - np.array(expected)).max() <= 1e-10 * (1 + np.abs(expected).max())


def test_optimizers_keep_one_state_for_each_model():
    adam = fb.Adam()
    first, second = (by_hand(adam, "float64", GRADIENTS[:5])[1] for _ in range(2))
    assert state_of(adam, first).buffer.tobytes() == state_of(adam, second).buffer.tobytes()
    assert parameters_of(first) is not parameters_of(second)
