"""Whether data and parameters still fit the network of an earlier fit."""

from typing import Any

from fastbackprop._estimators.network import Network

__all__ = ["check_continues"]


def check_continues(estimator: Any, network: Network, widths: list[int]) -> None:
    """Refuse what the network to go on with wasn't made for: the kernels would read beside it.

    Hidden layers keep their own widths, as in scikit-learn.

    Parameters
    ----------
    estimator : BaseMLP
        Whose parameters count.
    network : Network
        With the weights as they are.
    widths : list of int
        Columns of X, hidden_layer_sizes, outputs that y and loss need.
    """
    model, has = network.model, [x.shape[1] for x in network.coefs]
    if len(widths) != len(has) + 1:
        raise ValueError(
            "hidden_layer_sizes must have as many items as in the first fit, "
            f"{len(has) - 1}, got {len(widths) - 2}."
        )
    if widths[0] != model.n_in:
        raise ValueError(
            f"coefs_[0] must have {widths[0]} rows, as X has columns, got {model.n_in}."
        )
    if widths[-1] != model.n_out:
        loss = getattr(estimator, "loss", "squared_error")
        why = "" if loss == "squared_error" else f" with loss {loss!r}"
        s = "" if model.n_out == 1 else "s"
        raise ValueError(
            f"y must have {model.n_out} output{s}, as in the first fit, got {widths[-1]}{why}."
        )
    needed = estimator._output_activation()
    if needed not in ("identity", estimator.out_activation_):
        raise ValueError(
            f"The last layer must have the activation {needed!r} for this loss, got "
            f"{estimator.out_activation_!r} of the first fit."
        )
