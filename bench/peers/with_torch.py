"""PyTorch eager: autograd, without what it doesn't need."""

# ruff: noqa: D102 - the methods are documented in base.py

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from workloads import Task, Weights

from peers.base import Predictor, Trainee

LABEL = "PyTorch"
DISTRIBUTION = "torch"


def make_network(task: Task) -> nn.Sequential:
    """Return the layers up to the logits, with the task's weights."""
    torch.set_num_threads(task.n_threads)
    layers: list[nn.Module] = []
    for weight, _ in task.weights:
        layers += [nn.Linear(*weight.shape), nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    load(network, task.weights)
    return network


@torch.no_grad()
def load(network: nn.Sequential, weights: Weights) -> None:
    """Copy weights in; nn.Linear keeps W transposed."""
    for layer, (weight, bias) in zip(network[::2], weights, strict=True):
        layer.weight.copy_(torch.from_numpy(weight.T.copy()))
        layer.bias.copy_(torch.from_numpy(bias))


class Eager(Trainee):
    """backward, and one of the ways to correct the weights."""

    label: ClassVar[str] = LABEL

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.network = make_network(task)
        self.X, self.y = torch.from_numpy(task.X), torch.from_numpy(task.y)
        self.loss = (
            half_squared_error if task.workload.is_regression else nn.functional.cross_entropy
        )

    def load(self, weights: Weights) -> None:
        load(self.network, weights)

    def read(self) -> Weights:
        return [
            (x.weight.detach().numpy().T.copy(), x.bias.detach().numpy().copy())
            for x in self.network[::2]
        ]

    def prepared(self, order: np.ndarray) -> tuple[torch.Tensor, ...]:
        return torch.from_numpy(order).unbind()


class WithOptimizer(Eager):
    """torch.optim.SGD, foreach or fused."""

    def __init__(self, task: Task, option: str) -> None:
        super().__init__(task)
        self.way = f"torch.optim.SGD({option}=True)"
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), task.learning_rate, **{option: True}
        )

    def train(self, order: tuple[torch.Tensor, ...]) -> None:
        X, y, network, optimizer = self.X, self.y, self.network, self.optimizer
        for rows in order:
            optimizer.zero_grad(set_to_none=True)
            self.loss(network(X.index_select(0, rows)), y.index_select(0, rows)).backward()
            optimizer.step()


class InPlace(Eager):
    """The gradients by torch.autograd.grad, the correction by hand; functions, not modules."""

    way = "autograd.grad, update in place"

    def train(self, order: tuple[torch.Tensor, ...]) -> None:
        X, y, linear, relu = self.X, self.y, nn.functional.linear, torch.relu
        parameters = tuple(self.network.parameters())
        layers = list(zip(parameters[::2], parameters[1::2], strict=True))
        for rows in order:
            a = X.index_select(0, rows)
            for weight, bias in layers[:-1]:
                a = relu(linear(a, weight, bias))
            loss = self.loss(linear(a, *layers[-1]), y.index_select(0, rows))
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.sub_(gradient, alpha=self.task.learning_rate)


def half_squared_error(y_hat: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Mean over samples of 1/2 sum over outputs; the networks measured have one output."""
    return 0.5 * nn.functional.mse_loss(y_hat, y)


class PredictModules(Predictor):
    """nn.Sequential in inference mode."""

    label: ClassVar[str] = LABEL
    way = "nn.Sequential, inference_mode"

    def __init__(self, task: Task) -> None:
        self.X = torch.from_numpy(task.X)
        self.network = (
            nn.Sequential(*make_network(task), nn.Softmax(dim=1)).eval().requires_grad_(False)
        )

    @torch.inference_mode()
    def predict(self) -> torch.Tensor:
        return self.network(self.X)


class PredictFunctions(PredictModules):
    """The same without modules, whose calls cost time."""

    way = "addmm, inference_mode"

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.layers = [
            (torch.from_numpy(weight), torch.from_numpy(bias)) for weight, bias in task.weights
        ]

    @torch.inference_mode()
    def predict(self) -> torch.Tensor:
        a = self.X
        for weight, bias in self.layers[:-1]:
            a = torch.addmm(bias, a, weight).relu_()
        weight, bias = self.layers[-1]
        return torch.softmax(torch.addmm(bias, a, weight), 1)


def training(task: Task) -> list[Callable[[], Trainee]]:
    """All ways to train."""
    return [
        partial(WithOptimizer, task, "foreach"),
        partial(WithOptimizer, task, "fused"),
        partial(InPlace, task),
    ]


def prediction(task: Task) -> list[Callable[[], Predictor]]:
    """All ways to predict."""
    return [partial(PredictModules, task), partial(PredictFunctions, task)]
