"""A network as an ONNX graph, layer by layer: what ONNX Runtime and OpenVINO read.

Written by hand from torch.fx's trace, which takes milliseconds; the few layers that painters are made of are all it
knows.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import fx, nn

from impasto.errors import UsageError
from impasto.inference.engine.rewrite import Crop, DepthToSpace, SpaceToDepth
from impasto.networks import Blur, InstanceNorm
from impasto.networks.brush import Canvas, plane_waves

OPSET = 18


def onnx_bytes(network: nn.Module, *, levels: bool = False) -> bytes:
    """Return `network`, which takes levels from 0 to 255, as an ONNX file's bytes, from `image` to `painted`, of any
    size.

    Both are (N, H, W, 3), float32 in [0, 1] or with `levels` uint8.

    Raises:
        UsageError: the network has a layer that this module does not know.
    """
    tracer = _Tracer()
    trace = tracer.trace(network)
    graph = _Graph(network, levels)
    for node in trace.nodes:
        graph.add(node)
    kind, shape = TensorProto.UINT8 if levels else TensorProto.FLOAT, ["n", "height", "width", 3]
    ends = [helper.make_tensor_value_info(name, kind, shape) for name in ("image", "painted")]
    made = helper.make_graph(graph.nodes, "painter", ends[:1], ends[1:], graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in _LAYERS or super().is_leaf_module(m, module_qualified_name)


class _Graph:
    """ONNX nodes and constants under construction; `names` says which value stands for a node of the trace."""

    def __init__(self, network: nn.Module, levels: bool):
        self.network, self.levels = network, levels
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.names: dict[fx.Node, str] = {}

    def add(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            self.names[node] = self.image()
        elif node.op == "output":
            self.painted(self.value(node.args[0]))
        elif node.op == "call_module":
            layer = self.network.get_submodule(str(node.target))
            self.names[node] = _known(_LAYERS, type(layer))(self, self.value(node.args[0]), layer)
        else:
            function = _known(_FUNCTIONS, node.target)
            self.names[node] = function(self, *map(self.value, node.args), **node.kwargs)

    def image(self) -> str:
        if self.levels:
            x = self.node("Cast", "image", to=TensorProto.FLOAT)
        else:
            x = self.node("Mul", "image", self.value(255))
        return self.node("Transpose", x, perm=[0, 3, 1, 2])

    def painted(self, x: str) -> None:
        if self.levels:
            x = self.node("Round", self.node("Mul", x, self.value(255)))
            x = self.node("Cast", self.node("Clip", x, self.value(0), self.value(255)), to=TensorProto.UINT8)
        self.node("Transpose", x, perm=[0, 2, 3, 1], output="painted")

    def value(self, argument: Any) -> str:
        if isinstance(argument, fx.Node):
            return self.names[argument]
        return self.constant(np.array(argument, np.float32))

    def constant(self, values: np.ndarray | torch.Tensor | Sequence[int]) -> str:
        array = values.detach().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        output = output or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def places(self, x: str, axis: int) -> str:
        """0, 1, 2 … along an axis of `x`."""
        length = self.node("Squeeze", self.node("Shape", x, start=axis, end=axis + 1))
        return self.node("Range", self.constant(np.array(0)), length, self.constant(np.array(1)))

    def pad(self, x: str, sides: Sequence[int], mode: str) -> str:
        left, right, top, bottom = sides
        return self.node("Pad", x, self.constant([0, 0, top, left, 0, 0, bottom, right]), mode=mode)


def _known(table: dict[Any, Callable[..., str]], key: Any) -> Callable[..., str]:
    if key not in table:
        name = getattr(key, "__name__", key)
        raise UsageError(f"a network with {name} has no ONNX graph yet; use --backend torch")
    return table[key]


def _convolution(graph: _Graph, x: str, layer: nn.Conv2d) -> str:
    rows, columns = (int(side) for side in layer.padding)
    pads = [rows, columns]
    if layer.padding_mode != "zeros":
        mode = {"reflect": "reflect", "replicate": "edge"}[layer.padding_mode]
        x, pads = graph.pad(x, [columns, columns, rows, rows], mode), [0, 0]
    weights = [graph.constant(value) for value in (layer.weight, layer.bias) if value is not None]
    strides, dilations = list(layer.stride), list(layer.dilation)
    return graph.node("Conv", x, *weights, strides=strides, dilations=dilations, group=layer.groups, pads=pads * 2)


def _instance_norm(graph: _Graph, x: str, layer: InstanceNorm) -> str:
    return graph.node(
        "InstanceNormalization", x, graph.constant(layer.weight), graph.constant(layer.bias), epsilon=layer.eps
    )


def _canvas(graph: _Graph, x: str, layer: Canvas) -> str:
    turn = torch.arange(layer.period, dtype=torch.float32) * (2 * np.pi / layer.period)
    waves = [
        graph.constant(table) for table in (turn.cos(), turn.sin())
    ]  # looked up: half precision has no such angles
    rows, columns, phases = (value[:, None] for value in plane_waves(layer.period, torch.device("cpu")))

    def wave_of(places: str, frequencies: torch.Tensor, phases: torch.Tensor) -> list[str]:
        phase = graph.node("Add", graph.node("Mul", places, graph.constant(frequencies)), graph.constant(phases))
        angle = graph.node("Mod", phase, graph.constant(np.array(layer.period)))
        return [graph.node("Gather", wave, angle) for wave in waves]

    y = graph.node("Unsqueeze", graph.places(x, 2), graph.constant(np.array([1])))
    down = wave_of(y, rows, phases)
    across = wave_of(graph.places(x, 3), columns.mT, torch.zeros(1, dtype=torch.int64))
    even, odd = (graph.node("MatMul", *pair) for pair in zip(down, across, strict=True))
    field = graph.node("Unsqueeze", graph.node("Sub", even, odd), graph.constant(np.array([0])))
    # One for each picture: OpenVINO adds into the convolution's result, and would not see that there are fewer.
    count = graph.node("Concat", graph.node("Shape", x, start=0, end=1), graph.constant(np.array([1, 1, 1])), axis=0)
    field = graph.node("Expand", field, count)
    return graph.node("Add", x, graph.node("Conv", field, graph.constant(layer.mix.weight * layer.scale)))


def _crop(graph: _Graph, x: str, _: Crop) -> str:
    return graph.node("Slice", x, *map(graph.constant, ([1, 1], [-1, -1], [2, 3])))


_LAYERS: dict[Any, Callable[..., str]] = {
    nn.Conv2d: _convolution,
    Blur: _convolution,
    InstanceNorm: _instance_norm,
    Canvas: _canvas,
    nn.ReLU: lambda graph, x, _: graph.node("Relu", x),
    nn.ReflectionPad2d: lambda graph, x, layer: graph.pad(x, layer.padding, "reflect"),
    nn.ReplicationPad2d: lambda graph, x, layer: graph.pad(x, layer.padding, "edge"),
    SpaceToDepth: lambda graph, x, _: graph.node("SpaceToDepth", x, blocksize=2),
    DepthToSpace: lambda graph, x, _: graph.node("DepthToSpace", x, blocksize=2),
    Crop: _crop,
}
_FUNCTIONS: dict[Any, Callable[..., str]] = {
    operator.add: lambda graph, a, b: graph.node("Add", a, b),
    operator.mul: lambda graph, a, b: graph.node("Mul", a, b),
    operator.truediv: lambda graph, a, b: graph.node("Div", a, b),
    "sigmoid": lambda graph, x: graph.node("Sigmoid", x),
    "clamp": lambda graph, x, low, high: graph.node("Clip", x, low, high),
}
