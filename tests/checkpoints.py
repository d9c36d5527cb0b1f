"""What tests of checkpoints share."""

from privates import optimizer_bytes


def everything(trainer):
    """All that must be the same bits: weights, optimizer state, figures."""
    figures = {k: v for k, v in trainer.history.to_dict().items() if k != "seconds"}
    return trainer.model.get_parameters().tobytes(), optimizer_bytes(trainer), repr(figures)
