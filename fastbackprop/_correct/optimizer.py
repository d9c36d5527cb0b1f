"""Optimizer: what all optimizers share."""

from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

import numpy as np

from fastbackprop._core.arithmetic import exact_mode
from fastbackprop._core.copies import own_attributes, set_own_attributes
from fastbackprop._core.dispatch import kernels
from fastbackprop._core.errors import DivergenceError
from fastbackprop._core.validation import check_held, check_true_false
from fastbackprop._correct.schedule import Position, Schedule, is_schedule, largest_of, table_of
from fastbackprop._correct.settings import Setting
from fastbackprop._correct.state import OptimizerState

if TYPE_CHECKING:
    from fastbackprop._core.buffers import Parameters

__all__ = ["Optimizer"]

# Of the kernels' ``correct``: it needs room for a copy, since a number may stop being finite.
UNSURE = -2
RATES = ("learning_rate", "momentum", "weight_decay")  # what a step can have of its own


class Optimizer:
    """What all optimizers share; each of them is a subclass.

    An optimizer keeps its state, one for each model: a copied or pickled Trainer takes it along, a
    copied or pickled optimizer doesn't.
    """

    # In the kernels, and what its UpdateSpec has whatever the settings.
    _kind: ClassVar[str]
    _fixed: ClassVar[dict[str, Any]] = {}

    learning_rate = Setting(
        "The step's length, above 0, or a schedule; can be assigned between steps.",
        above=0.0,
        scheduled=True,
        assignable=True,
    )
    weight_decay = Setting(
        "How much of each weight is added to its gradient.", at_least=0.0, scheduled=True
    )

    def __init__(self, numbers: dict[str, Any], flags: dict[str, Any]) -> None:
        self._numbers: dict[str, Any] = {}
        self._flags = {name: check_true_false(name, value) for name, value in flags.items()}
        self._specs: dict[Any, Any] = {}  # for each module of the kernels
        self._states: WeakKeyDictionary[Any, OptimizerState] = WeakKeyDictionary()
        for name, value in numbers.items():
            setattr(self, name, value)

    @property
    def decay_biases(self) -> bool:
        """Whether weight decay includes biases, and what norms learn."""
        return self._flags.get("decay_biases", True)

    def _spec(self, dtype: np.dtype) -> Any:
        """Return the kernels' UpdateSpec; refuse what numbers of this dtype can't hold."""
        specs, kernel = self._specs, kernels(dtype)  # what is assigned begins another dict
        if kernel not in specs:
            for name, value in self._numbers.items():
                if not is_schedule(value):
                    below = getattr(type(self), name).below
                    check_held(name, value, dtype, below=below)
            with exact_mode():
                specs[kernel] = kernel.UpdateSpec(
                    self._kind, **self._fixed, **self._flags, **self._spec_numbers()
                )
        return specs[kernel]

    def _spec_numbers(self) -> dict[str, float]:
        """Return the numbers by the kernels' names; where there is a schedule, one that isn't 0."""
        return {name: 0.5 if is_schedule(value) else value for name, value in self._numbers.items()}

    def _rates(self, position: Position, n: int, dtype: np.dtype) -> np.ndarray | None:
        """Return what the next n steps have of their own, (n, 3); None without a schedule."""
        values = [self._numbers.get(name, 0.0) for name in RATES]
        if not any(map(is_schedule, values)):
            return None
        table = np.empty((n, len(RATES)))
        for column, (name, value) in enumerate(zip(RATES, values, strict=True)):
            below = 1.0 if name == "momentum" else float(np.finfo(dtype).max)
            is_fixed = not is_schedule(value)
            table[:, column] = value if is_fixed else _numbers_of(name, value, position, n, below)
        return table

    def _check_ends(self, begin: Position, n: int) -> None:
        """Refuse a schedule of the momentum that begins or ends outside of its range.

        Rates that rise too far end in a divergence, which says more.
        """
        momentum = self._numbers.get("momentum")
        if isinstance(momentum, Schedule):
            for position in (begin, begin.after(n - 1)):
                _numbers_of("momentum", momentum, position, 1, 1.0)

    def _check_figures(self, figures: dict[str, bool]) -> None:
        """Refuse schedules that look at what a fit won't record."""
        for value in self._numbers.values():
            if isinstance(value, Schedule):
                value._check_figures(figures)

    def _check_fit(self, batch_size: int, n_rows: int) -> None:
        """Refuse a fit that this optimizer is not for."""

    def _typical(self, name: str) -> float:
        """Return a setting as a number, 0 where there is none; of a schedule its largest."""
        value = self._numbers.get(name, 0.0)
        return largest_of(value) if is_schedule(value) else value

    def _state(self, parameters: "Parameters") -> OptimizerState:
        """Return the state kept for these parameters."""
        state = self._states.get(parameters)
        if state is None:
            values = parameters.values
            new = OptimizerState(self._spec(values.dtype).n_planes, values.size, values.dtype)
            # setdefault can't be interrupted: two threads that come at once get the same state.
            state = self._states.setdefault(parameters, new)
        return state

    def step(self, model: Any) -> None:
        """Correct all weights of a model by the gradients of its last ``backward``.

        Parameters
        ----------
        model : Sequential
            Model whose gradients are there, after ``forward`` and ``backward``.

        Raises
        ------
        RuntimeError
            If there was no ``backward`` yet, or another thread trains the model.
        TypeError
            If model is not a Sequential.
        ValueError
            If the model's dtype can't hold a setting, or a schedule goes over the length of a fit.
        DivergenceError
            If a weight would stop being finite; then nothing has changed.
        """
        quick = getattr(model, "_quick_update", None)
        if quick is not None and quick.correct(self._specs):
            return
        if not hasattr(model, "_lock"):
            raise TypeError(f"model must be a Sequential, got {type(model).__name__}.")
        model._lock.run(self._step, model)
        if quick is None or not quick.suits(self._specs):
            self._prepare_quick(model)

    def _prepare_quick(self, model: Any) -> None:
        """Let the next step find what it needs at hand, unless it must look at a schedule."""
        version, specs, kernel = model._version(), self._specs, kernels(model.dtype)
        parameters, spec = model._parameters, specs.get(kernel)
        if spec is None or not version.is_current or any(map(is_schedule, self._numbers.values())):
            return
        model._quick_update = kernel.QuickUpdate(
            version, model._network, specs, spec, self._state(parameters).buffer,
            parameters.gradients,
        )  # fmt: skip

    def _step(self, model: Any, position: Position | None = None) -> None:
        parameters, dtype = model._parameters, model.dtype
        if not parameters.has_blame:
            raise RuntimeError(
                "optimizer.step must follow model.backward, got a model without gradients."
            )
        state, correct = self._state(parameters), kernels(dtype).correct
        rates = self._rates(position or Position(state.n_steps), 1, dtype)
        arguments = [model._network, parameters.gradients, self._spec(dtype), state.buffer]
        own = None if rates is None else rates[0]
        at = model._lock.write(correct, *arguments, None, own)
        if at == UNSURE:
            at = model._lock.write(correct, *arguments, parameters.snapshot(state.buffer), own)
        if at >= 0:
            wrong = parameters.layer_at(at)
            raise DivergenceError(
                f"The step would make weights of model.layers[{wrong}] infinite or NaN; "
                f"they were left as they are. {self._advice(rates)}",
                layer=wrong,
            )

    def _extremes(self, rates: np.ndarray | None) -> tuple[float, float]:
        """Return the largest learning rate, and the largest product of it and the weight decay.

        ``rates`` are those of the last steps, where they have some of their own.
        """
        rate, decay = self._typical("learning_rate"), self._typical("weight_decay")
        if rates is None:
            return rate, rate * decay
        with np.errstate(over="ignore"):
            products = rates[:, 0] * rates[:, 2]
        return max(rate, float(rates[:, 0].max())), max(rate * decay, float(products.max()))

    def _advice(self, rates: np.ndarray | None = None) -> str:
        """Return what to do about a divergence, as far as these settings tell."""
        rate, product = self._extremes(rates)
        if product >= 1:
            return (
                f"learning_rate * weight_decay must be below 1, got {product:g}: the decay takes "
                f"away more than there is; try a weight_decay below {1 / rate:g}."
            )
        came = ", to which the schedule came" if rate > self._typical("learning_rate") else ""
        return f"Try a smaller learning rate than {rate:g}{came}."

    def __getstate__(self) -> dict[str, Any]:
        """Return settings and the user's own attributes; states belong to models."""
        return own_attributes(self, {"_states", "_specs"})

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what ``__getstate__`` gave, checked as the constructor checks it."""
        base = next((x for x in type(self).__mro__ if x.__module__ == "fastbackprop"), Optimizer)
        settings = {**state.get("_numbers", {}), **state.get("_flags", {})}
        base.__init__(self, **settings)  # type: ignore[misc]
        set_own_attributes(self, state, set(self.__dict__))

    def __repr__(self) -> str:
        defaults = type(self).__init__.__kwdefaults__ or {}
        rate = self.learning_rate
        options = {**self._numbers, **self._flags}
        shown = [f"{rate!r}" if is_schedule(rate) else f"{rate:g}"]
        shown += [f"{k}={options[k]!r}" for k in defaults if options[k] != defaults[k]]
        return f"{type(self).__name__}({', '.join(shown)})"


def _numbers_of(name: str, schedule: Any, position: Position, n: int, below: float) -> np.ndarray:
    """Return what a schedule gives in the next n steps, or complain of a number."""
    numbers = table_of(schedule, position, n)
    is_right = (numbers >= 0) & (numbers < below)
    if not is_right.all():
        wrong = int(np.argmin(is_right))
        raise ValueError(
            f"The schedule of {name} must give numbers of at least 0 and below {below:g}, got "
            f"{numbers[wrong]:g} for step {position.step + wrong}."
        )
    return numbers
