"""ONNX Runtime: prediction only."""

# ruff: noqa: D102 - the methods are documented in base.py

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import numpy as np
import onnxruntime
from workloads import Task

from peers.base import Predictor, Trainee

LABEL = "ONNX Runtime"
DISTRIBUTION = "onnxruntime"


def model_bytes(task: Task) -> bytes:
    """Return the network as a graph of Gemm, Relu and Softmax."""
    from onnx import TensorProto, helper, numpy_helper  # only here: running a model doesn't need it

    nodes, constants, last, name = [], [], len(task.weights) - 1, "x"
    for i, (weight, bias) in enumerate(task.weights):
        constants += [
            numpy_helper.from_array(weight, f"w{i}"),
            numpy_helper.from_array(bias, f"b{i}"),
        ]
        nodes.append(helper.make_node("Gemm", [name, f"w{i}", f"b{i}"], [f"z{i}"]))
        name = "y" if i == last else f"a{i}"
        nodes.append(helper.make_node("Softmax" if i == last else "Relu", [f"z{i}"], [name]))
    widths = task.workload.widths
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", widths[0]])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", widths[-1]])]
    graph = helper.make_graph(nodes, "mlp", inputs, outputs, constants)
    # Old enough for every ONNX Runtime in use; the onnx package may be newer than that.
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()


class Run(Predictor):
    """InferenceSession.run."""

    label: ClassVar[str] = LABEL
    way = "run"

    def __init__(self, task: Task) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = task.n_threads
        options.inter_op_num_threads = 1
        # Its workers may spin during a call, but not on after it, in the way of the next runner.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self.session = onnxruntime.InferenceSession(
            model_bytes(task), options, providers=["CPUExecutionProvider"]
        )
        self.inputs = {"x": task.X}

    def predict(self) -> np.ndarray:
        return self.session.run(None, self.inputs)[0]


class Bound(Run):
    """The same with inputs and outputs bound beforehand."""

    way = "run_with_iobinding"

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.y = np.empty((len(task.X), task.workload.widths[-1]), np.float32)
        self.x = task.X
        self.binding = self.session.io_binding()
        self.binding.bind_cpu_input("x", self.x)
        self.binding.bind_output("y", "cpu", 0, np.float32, self.y.shape, self.y.ctypes.data)

    def predict(self) -> np.ndarray:
        self.session.run_with_iobinding(self.binding)
        return self.y


def training(task: Task) -> list[Callable[[], Trainee]]:
    """None: it only predicts."""
    return []


def prediction(task: Task) -> list[Callable[[], Predictor]]:
    """All ways to predict."""
    return [partial(Run, task), partial(Bound, task)]
