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
    method = task.workload.method
    layers: list[nn.Module] = []
    for weight, bias, *norm in task.weights:
        layers.append(nn.Linear(*weight.shape))
        if norm:
            kind = nn.BatchNorm1d if method.normalization == "batch" else nn.LayerNorm
            layers.append(kind(len(bias)))
        layers.append(nn.GELU() if method.activation == "gelu" else nn.ReLU())
        if method.dropout:
            layers.append(nn.Dropout(method.dropout))
    n_behind_the_last = 2 if method.dropout else 1
    network = nn.Sequential(*layers[:-n_behind_the_last])
    load(network, task.weights)
    return network


def tensors_of(network: nn.Sequential) -> list[list[torch.Tensor]]:
    """Return for each dense layer what Weights has: W (transposed, as nn.Linear keeps it), b ..."""
    tensors: list[list[torch.Tensor]] = []
    for layer in network:
        if isinstance(layer, nn.Linear):
            tensors.append([layer.weight, layer.bias])
        elif isinstance(layer, nn.LayerNorm | nn.BatchNorm1d):
            tensors[-1] += [layer.weight, layer.bias]
        if isinstance(layer, nn.BatchNorm1d):
            tensors[-1] += [layer.running_mean, layer.running_var]
    return tensors


@torch.no_grad()
def load(network: nn.Sequential, weights: Weights) -> None:
    """Copy weights in."""
    for tensors, arrays in zip(tensors_of(network), weights, strict=True):
        for tensor, array in zip(tensors, arrays, strict=True):
            tensor.copy_(torch.from_numpy(array.T.copy()))


class Eager(Trainee):
    """Backward, and one of the ways to correct the weights."""

    label: ClassVar[str] = LABEL

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.network = make_network(task).train()
        self.X, self.y = torch.from_numpy(task.X), torch.from_numpy(task.y)
        self.loss = (
            half_squared_error if task.workload.is_regression else nn.functional.cross_entropy
        )

    def load(self, weights: Weights) -> None:
        load(self.network, weights)

    def read(self) -> Weights:
        return [
            tuple(x.detach().numpy().T.copy() for x in tensors)
            for tensors in tensors_of(self.network)
        ]

    def prepared(self, order: np.ndarray) -> tuple[torch.Tensor, ...]:
        return torch.from_numpy(order).unbind()


OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class WithOptimizer(Eager):
    """An optimizer of torch.optim, foreach or fused, and modules."""

    def __init__(self, task: Task, option: str) -> None:
        super().__init__(task)
        self.option = option
        self.make = OPTIMIZERS[task.workload.method.optimizer]
        self.way = f"torch.optim.{self.make.__name__}({option}=True)"
        self.parameters = list(self.network.parameters())
        self.load(task.weights)

    def load(self, weights: Weights) -> None:
        super().load(weights)
        self.optimizer = self.make(self.parameters, self.task.learning_rate, **{self.option: True})

    def train(self, order: tuple[torch.Tensor, ...]) -> None:
        X, y, network, optimizer = self.X, self.y, self.network, self.optimizer
        parameters, clip_norm = self.parameters, self.task.workload.method.clip_norm
        for rows in order:
            optimizer.zero_grad(set_to_none=True)
            self.loss(network(X.index_select(0, rows)), y.index_select(0, rows)).backward()
            if clip_norm is not None:
                nn.utils.clip_grad_norm_(parameters, clip_norm, foreach=True)
            optimizer.step()


class InPlace(Eager):
    """The gradients by torch.autograd.grad, plain SGD by hand; functions, not modules."""

    way = "autograd.grad, update in place"

    def train(self, order: tuple[torch.Tensor, ...]) -> None:
        X, y = self.X, self.y
        layers = tensors_of(self.network)
        parameters = tuple(self.network.parameters())
        for rows in order:
            z = functional(X.index_select(0, rows), layers, self.task)
            loss = self.loss(z, y.index_select(0, rows))
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.sub_(gradient, alpha=self.task.learning_rate)


def functional(a: torch.Tensor, layers: list[list[torch.Tensor]], task: Task) -> torch.Tensor:
    """Return the logits in training, by functions."""
    F, method = nn.functional, task.workload.method
    act = F.gelu if method.activation == "gelu" else torch.relu
    for weight, bias, *norm in layers[:-1]:
        a = F.linear(a, weight, bias)
        if method.normalization == "layer":
            a = F.layer_norm(a, bias.shape, *norm)
        elif method.normalization == "batch":
            gamma, beta, mean, variance = norm
            a = F.batch_norm(a, mean, variance, gamma, beta, training=True)
        a = act(a)
        if method.dropout:
            a = F.dropout(a, method.dropout)
    return F.linear(a, *layers[-1])


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
    """Return all ways to train."""
    ways: list[Callable[[], Trainee]] = [
        partial(WithOptimizer, task, "foreach"),
        partial(WithOptimizer, task, "fused"),
    ]
    return [*ways, partial(InPlace, task)] if task.workload.method.optimizer == "sgd" else ways


def prediction(task: Task) -> list[Callable[[], Predictor]]:
    """Return all ways to predict."""
    return [partial(PredictModules, task), partial(PredictFunctions, task)]
