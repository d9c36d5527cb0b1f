"""Handwritten digits: a classifier with dropout, early stopping, and the images that it gets wrong.

Of 1,797 images of 8 x 8 pixels, a quarter is the test. A fifth of the others is held out while the
net trains, and says when to stop; the weights of its best epoch are what is left. In a clone it
needs ``pip install -e ".[sklearn]"``, for the images.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import fastbackprop as fb


def main() -> None:
    """Train, evaluate, and say which digits are confused."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X / 16, y, test_size=0.25, stratify=y, random_state=0
    )
    model = fb.mlp([64, 64, 10], output_activation="softmax", dropout=0.2, seed=0)
    trainer = fb.Trainer(model, "cross_entropy", fb.Adam(0.003), seed=0)
    history = trainer.fit(
        X_train,
        y_train,
        epochs=100,
        validation_split=0.2,
        callbacks=[fb.EarlyStopping(patience=10)],
    )
    best = int(np.argmin(history.validation_loss))
    print(f"stopped after {len(history)} epochs; the best was epoch {best + 1}")
    print(f"{trainer.evaluate(X_test, y_test)['accuracy']:.1%} of the test is right")

    predicted = model.predict_classes(X_test)
    wrong = np.flatnonzero(predicted != y_test)
    pairs, counts = np.unique(
        np.stack([y_test[wrong], predicted[wrong]], axis=1), axis=0, return_counts=True
    )
    for k in np.argsort(-counts, kind="stable")[:3]:
        print(f"a {pairs[k][0]} taken for a {pairs[k][1]}: {counts[k]} times")


if __name__ == "__main__":
    main()
