"""Which name is meant, where one is given that isn't known."""

from collections.abc import Iterable

__all__ = ["NAMES_ELSEWHERE", "did_you_mean"]

# What other libraries call things, in lower case, where the nearest spelling would be another thing
# ("swish" is no "mish").
NAMES_ELSEWHERE = {
    "acc": "accuracy",
    "bce": "binary_cross_entropy",
    "binary_crossentropy": "binary_cross_entropy",
    "categorical_crossentropy": "cross_entropy",
    "ce": "cross_entropy",
    "f1_score": "f1",
    "kaiming_normal": "he_normal",
    "kaiming_uniform": "he_uniform",
    "linear": "identity",
    "log_loss": "cross_entropy",
    "logistic": "sigmoid",
    "lrelu": "leaky_relu",
    "mae": "mean_absolute_error",
    "mean_absolute_error": "mae",  # of metrics
    "mse": "mean_squared_error",
    "pinball": "quantile",
    "r2_score": "r2",
    "root_mean_squared_error": "rmse",
    "smooth_l1": "huber",
    "sparse_categorical_crossentropy": "cross_entropy",
    "swish": "silu",
    "train_loss": "loss",
    "training_loss": "loss",
    "xavier_normal": "glorot_normal",
    "xavier_uniform": "glorot_uniform",
}


def did_you_mean(value: str, known: Iterable[str]) -> str:
    """Return the end of a complaint: which known name is meant or near, or nothing."""
    # not before there is a complaint: importing it takes longer than most of this package
    import difflib

    names, name = list(known), value.lower()
    part = next((x for x in ("validation_", "val_") if name.startswith(x)), "")
    name = name.removeprefix(part)
    meant = ("validation_" if part else "") + NAMES_ELSEWHERE.get(name, name)
    if meant in names:
        near = [meant]
    else:
        near = difflib.get_close_matches(value.lower(), names, n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""
