"""A search by Optuna that gives up trials early.

Each trial chooses width, learning rate and dropout. A callback of five lines reports the validation
loss of each epoch, and ends the fit where Optuna finds that the trial lags behind the others: the
time goes to those that are worth it. It needs ``pip install optuna scikit-learn``.
"""

import optuna
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import fastbackprop as fb

X, Y = load_breast_cancer(return_X_y=True)
X_TRAIN, X_TEST, Y_TRAIN, Y_TEST = train_test_split(X, Y, test_size=0.3, random_state=0)


class Pruning(fb.Callback):
    """Ends a fit that Optuna gives up."""

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial

    def on_epoch_end(self, trainer: fb.Trainer, history: fb.History) -> None:
        """Report the epoch, and ask."""
        self.trial.report(history.validation_loss[-1], step=len(history))
        trainer.stop_training = self.trial.should_prune()


def objective(trial: optuna.Trial) -> float:
    """Return the validation loss of a trial."""
    width = trial.suggest_int("width", 4, 64, log=True)
    rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    dropout = trial.suggest_float("dropout", 0.0, 0.5)
    model = fb.mlp(
        [30, width, 1], output_activation="sigmoid", dropout=dropout, scale_inputs=True, seed=0
    )
    trainer = fb.Trainer(model, "binary_cross_entropy", fb.Adam(rate), seed=0)
    history = trainer.fit(
        X_TRAIN,
        Y_TRAIN,
        epochs=30,
        validation_split=0.25,
        callbacks=[Pruning(trial)],
    )
    trial.set_user_attr("test", trainer.evaluate(X_TEST, Y_TEST)["accuracy"])
    if len(history) < 30:
        raise optuna.TrialPruned
    return history.validation_loss[-1]


def main() -> None:
    """Search, and say what was found."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=5),
    )
    study.optimize(objective, n_trials=40)
    states = [trial.state for trial in study.trials]
    pruned = states.count(optuna.trial.TrialState.PRUNED)
    print(f"{len(states)} trials, {pruned} given up early")
    print({name: round(value, 4) for name, value in study.best_params.items()})
    print(f"validation loss {study.best_value:.4f}, test {study.best_trial.user_attrs['test']:.1%}")


if __name__ == "__main__":
    main()
