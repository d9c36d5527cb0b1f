"""predict_classes: the label of each row, instead of numbers."""

import math
from typing import Any

import numpy as np

from fastbackprop._core.validation import check_real
from fastbackprop._model.prediction import Prediction

__all__ = ["Classification"]


class Classification(Prediction):
    """The classes that a model tells apart."""

    @property
    def classes(self) -> np.ndarray | None:
        """The labels of the classes, in the order of the outputs; None where they are indices.

        ``Trainer.fit`` learns them, ``Trainer(classes=[...])`` names them, files keep them.
        """
        return None if self._classes is None else self._classes.labels

    def predict_classes(
        self,
        X: Any,
        threshold: float = 0.5,
        *,
        check_finite: bool = True,
        n_threads: int | None = None,
        scale: float = 1.0,
    ) -> np.ndarray:
        """Predict labels: of each row the class that is the most probable.

        Parameters
        ----------
        X : array-like of shape (n, n_in) or (n_in,)
            Inputs, as for ``predict``.
        threshold : float, default=0.5
            Probability above which a sigmoid output says yes. An output of its own without a
            sigmoid, as behind the hinge loss, is taken for the logit: it says yes above 0 for 0.5.
            Of several outputs other than sigmoids the largest counts, whatever the threshold.
        check_finite : bool, default=True
            Whether NaN and infinity are looked for in X.
        n_threads : int, optional
            Number of threads, as for ``predict``.
        scale : float, default=1.0
            What the numbers of X are multiplied by, as for ``predict``.

        Returns
        -------
        ndarray of shape (n,) or ()
            Labels out of ``classes``, or indices where there are none: integers from 0 to n_out -
            1, 0 and 1 for one output. With several sigmoid outputs, which are questions of their
            own, zeros and ones of shape (n, n_out) or (n_out,).

        Raises
        ------
        ValueError, TypeError
            As ``predict``; or if the threshold isn't between 0 and 1, or one output is neither a
            probability nor a logit.

        Examples
        --------
        >>> import fastbackprop as fb
        >>> model = fb.mlp([1, 2], output_activation="softmax", seed=0)
        >>> X, y = [[-1.0], [-2.0], [1.0], [2.0]], ["cold", "cold", "warm", "warm"]
        >>> history = fb.Trainer(model, "cross_entropy", seed=0).fit(X, y, epochs=200)
        >>> model.predict_classes([[-3.0], [3.0]])
        array(['cold', 'warm'], dtype='<U4')
        >>> model.classes
        array(['cold', 'warm'], dtype='<U4')
        """
        threshold = check_real("threshold", threshold, above=0.0, below=1.0)
        activation = self.layers[-1].activation
        is_sigmoid = activation == "sigmoid"
        if self.n_out == 1 and activation not in ("sigmoid", "identity"):
            raise ValueError(
                f"predict_classes must have one output behind 'sigmoid' or 'identity', or several, "
                f"got one behind {activation!r}."
            )
        outputs = self.predict(X, check_finite=check_finite, n_threads=n_threads, scale=scale)
        if self.n_out > 1 and not is_sigmoid:
            indices = outputs.argmax(axis=-1)
        else:
            border = threshold if is_sigmoid else math.log(threshold / (1 - threshold))
            indices = (outputs > border).astype(np.int64)
            if self.n_out > 1:
                return indices
            indices = indices[..., 0]
        return np.asarray(indices if self._classes is None else self._classes.labels[indices])
