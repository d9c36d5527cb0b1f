"""Explains every step of a training, so that the slider moves through time too."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastbackprop._core.errors import DivergenceError
from fastbackprop._core.validation import check_integer
from fastbackprop._correct.schedule import Position, table_of
from fastbackprop._explain.explain import explain_step, shown_names
from fastbackprop._explain.explanation import Explanation
from fastbackprop._explain.html_page import HtmlPage
from fastbackprop._explain.samples import data_of
from fastbackprop._train.trainer import Trainer

__all__ = ["TrainingExplanation", "explain_training"]


class TrainingExplanation(HtmlPage):
    """Steps of a training, each an Explanation; made by ``explain_training``.

    Its page has a slider through the steps, and one through time.

    Parameters
    ----------
    steps : list of Explanation
        The steps, in the order in which they were done.
    """

    def __init__(self, steps: list[Explanation]) -> None:
        self.steps = steps

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> Explanation:
        return self.steps[index]

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self.steps)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data.

        Returns
        -------
        dict
            ``format`` 1, ``kind`` "training", and ``steps``: ``Explanation.to_dict()`` of each.
        """
        return {"format": 1, "kind": "training", "steps": [x.to_dict() for x in self.steps]}

    def _page(self) -> str:
        from fastbackprop._explain.page import render

        return render(self.steps)

    def _repr_html_(self) -> str:
        """Return the page for notebooks: see Explanation."""
        from fastbackprop._explain.page import frame

        return frame(self.steps)

    def __str__(self) -> str:
        lines = [
            self.steps[0].title,
            "  step    C before     C after   C that the gradient predicted",
        ]
        for i, e in enumerate(self.steps):
            lines.append(
                f"{i:>6}  {e.cost:>10.4g}  {e.after.cost:>10.4g}  {e.after.predicted_cost:>10.4g}"
            )
        return "\n".join(lines)


def explain_training(trainer: Trainer, X: Any, y: Any, *, steps: int = 20) -> TrainingExplanation:
    """Train for some steps, and explain each of them.

    The model is trained, by the trainer's own optimizer: to the same bits as by ``trainer.step`` on
    the same batches.

    Parameters
    ----------
    trainer : Trainer
        Trainer whose model is trained.
    X, y : array-like
        Samples, as for ``Trainer.fit``. Each step takes the next ``trainer.batch_size`` rows, and
        begins again at the first one where fewer are left than that; what is explained is the batch
        of the step.
    steps : int, default=20
        Number of steps; a schedule that goes over a whole fit goes over these.

    Returns
    -------
    TrainingExplanation
        The steps, with a page of their own; fewer where the cost stops being finite, so that the
        way there can be seen.

    Raises
    ------
    ValueError, TypeError
        If data or an argument doesn't fit; nothing has been trained.
    DivergenceError
        As in ``Trainer.step``, if the first step does.

    Examples
    --------
    >>> import fastbackprop as fb
    >>> model = fb.mlp([2, 4, 1], activation="tanh", seed=0)
    >>> trainer = fb.Trainer(model, "half_squared_error", fb.SGD(0.3))
    >>> e = fb.explain_training(trainer, [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], steps=5)
    >>> len(e), e[4].after.cost < e[0].cost
    (5, True)
    """
    if not isinstance(trainer, Trainer):
        raise TypeError(f"trainer must be a Trainer, got {type(trainer).__name__}.")
    steps = check_integer("steps", steps)
    samples = data_of(trainer.model, X, y, trainer._loss, "X")
    size = min(trainer.batch_size, len(samples))
    trainer.model._learn(samples.checked.classes)
    shown = shown_names(trainer.model, X, samples)
    explanations: list[Explanation] = []
    start = 0
    for k in range(steps):
        batch = samples.take(slice(start, start + size))
        trainer.model._parameters.place_in_fit = k, steps
        try:
            explanations.append(
                explain_step(
                    trainer.model,
                    batch,
                    trainer._loss,
                    trainer.optimizer,
                    lambda: trainer._step(batch.rows, batch.checked, (k, steps)),  # noqa: B023
                    rate=_rate_of(trainer, k, steps),
                    beside=_beside(trainer),
                    **shown,
                )
            )
        except (DivergenceError, ValueError):  # the data is fine: numbers have outgrown the dtype
            if not explanations:
                raise
            break
        if not np.isfinite(explanations[-1].after.cost):
            break
        start = start + size if start + 2 * size <= len(samples) else 0
    return TrainingExplanation(explanations)


def _beside(trainer: Any) -> str | None:
    """Return what has a part in a step beside the optimizer, for the page."""
    if any(trainer._loop.clipping):
        return "gradients are clipped"
    return "classes have weights" if trainer._class_weights.are_given else None


def _rate_of(trainer: Trainer, k: int, steps: int) -> float:
    """Return the learning rate of step k of so many."""
    optimizer = trainer.optimizer
    n_before = optimizer._state(trainer.model._parameters).n_steps
    return float(table_of(optimizer.learning_rate, Position(n_before, k, steps), 1)[0])
