"""A small network that reads handwritten digits: somebody's own script, as task=script takes it.

Trains scikit-learn's multilayer perceptron with plain stochastic gradient descent for a fixed
number of passes over two thirds of the 1,797 images that come with scikit-learn (which MLflow
depends on), and prints the share of the others that it reads correctly. The constants are a
first guess: MLPClassifier's own, with a learning rate of 0.01. Run it by itself with

    python digits.py 42
"""

import os
import sys
import warnings

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the same bits anywhere

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

HIDDEN = 100
LAYERS = 1
ACTIVATION = "relu"
BATCH_SIZE = 200
LEARNING_RATE = 0.01
MOMENTUM = 0.9
L2 = 0.0001
EPOCHS = 20  # the budget


def main(seed: int) -> None:
    images, digits = load_digits(return_X_y=True)
    train, test, train_digits, test_digits = train_test_split(
        images / 16, digits, test_size=1 / 3, random_state=0, stratify=digits
    )
    model = MLPClassifier(
        (HIDDEN,) * LAYERS,
        activation=ACTIVATION,
        solver="sgd",
        batch_size=BATCH_SIZE,
        learning_rate_init=LEARNING_RATE,
        momentum=MOMENTUM,
        alpha=L2,
        max_iter=EPOCHS,
        tol=0,
        n_iter_no_change=EPOCHS,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the budget ends before it converges
        model.fit(train, train_digits)
    right = int((model.predict(test) == test_digits).sum())
    print(f"{len(train)} images, {EPOCHS} passes, loss {model.loss_:.4f}")
    print(f"read {right} of {len(test)} digits: accuracy = {100 * right / len(test):.3f}%")


if __name__ == "__main__":
    main(int(sys.argv[1]))
