"""Parts of a training step as compiled or recorded graphs."""

from __future__ import annotations

import operator
import os
import sysconfig
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import make_fx

from sg2bench.files import cache_folder

_Tensors = dict[str, Tensor]
_InTwo = Callable[..., tuple[_Tensors, _Tensors]]
_Run = Callable[..., Sequence[Any]]
"""Computes tensors, or None for a weight without gradient."""


class _Parts(NamedTuple):
    """A function in two parts: the names of their results, and how to run them."""

    early: list[str]
    late: list[str]
    first: _Run
    rest: _Run


class Compiled:
    """Functions that compute gradients, each traced at its first call, then compiled, or on a GPU recorded.

    A trace also has the operations of autograd, so that gradients, and R1's gradients of gradients, are part of one
    graph, which needs neither autograd nor Python's bookkeeping. Compiled code is kept in the cache folder, where runs
    with the same graphs share it.
    """

    def __init__(self) -> None:
        # Set before the first trace, in which torch would choose a temporary folder.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "compiled"))
        self._graphs: dict[str, _Parts] = {}
        self.seconds = 0.0
        """Time spent on tracing and compiling."""

    def __call__(
        self, name: str, function: Callable[..., _Tensors], weights: Sequence[nn.Parameter], *inputs: Tensor
    ) -> _Tensors:
        """Do what `function(*inputs)` does: set the gradients of `weights`, and return tensors by name.

        `name` must identify the function and all its settings: between calls, only tensors may change.
        """
        return self.begin(name, lambda *inputs: ({}, function(*inputs)), weights, *inputs)[1]()

    def begin(
        self, name: str, function: _InTwo, weights: Sequence[nn.Parameter], *inputs: Tensor
    ) -> tuple[_Tensors, Callable[[], _Tensors]]:
        """Compute only the first of two dicts that `function(*inputs)` returns. Return it, and a function to call next.

        That function does the rest: it sets the gradients of `weights`, and returns the second dict. Compiled, it
        continues from the activations of the first part; recorded, it computes them again.
        """
        is_new = name not in self._graphs
        with self._timed(is_new, inputs[0].device.type):
            if is_new:
                self._graphs[name] = self._make(function, weights, inputs)
            early, late, first, rest = self._graphs[name]
            outputs = first(*inputs)
        passed = list(outputs[len(early) :])

        def finish() -> _Tensors:
            with self._timed(is_new, inputs[0].device.type):
                outputs = rest(*inputs, *passed)
            passed.clear()
            for weight, gradient in zip(weights, outputs[len(late) :], strict=True):
                weight.grad = None if gradient is None else laid_out_as(weight, gradient)
            return _by_name(late, outputs)

        return _by_name(early, outputs), finish

    @contextmanager
    def _timed(self, timed: bool, device: str) -> Iterator[None]:
        start = time.monotonic()
        # Autocast is part of the trace, and would be applied twice.
        with torch.no_grad(), torch.autocast(device, enabled=False):
            try:
                yield
            except Exception as error:
                if type(error).__name__ != "InductorError":  # a class that takes a second to import
                    raise
                reason = str(error).strip().splitlines()[0]
                raise ValueError(f"train.compile: failed: {reason}; set train.compile to false") from error
        self.seconds += timed * (time.monotonic() - start)

    def _make(self, function: _InTwo, weights: Sequence[nn.Parameter], inputs: Sequence[Tensor]) -> _Parts:
        with torch.enable_grad():
            early, late, graph = _trace(function, weights, inputs)
        if not early:
            return _Parts(early, late, lambda *_: (), self._ready(graph, inputs))
        # A recording copies what it takes to its own memory, so passing on many activations would cost more.
        first, rest = _split(graph, len(early), share=not inputs[0].is_cuda)
        return _Parts(early, late, self._ready(first, inputs), self._ready(rest, inputs))

    def _ready(self, graph: fx.GraphModule, inputs: Sequence[Tensor]) -> _Run:
        return _Recording(graph, inputs, *self._stream_and_memory) if inputs[0].is_cuda else _compile(graph)

    @cached_property
    def _stream_and_memory(self) -> tuple[Any, Any]:
        """The stream and the memory of all recordings: a step uses the outputs of one before it replays the next."""
        return torch.cuda.Stream(), torch.cuda.graph_pool_handle()  # type: ignore[no-untyped-call]


def missing_to_compile() -> str:
    """Return what this machine lacks to compile for a CPU; empty if nothing."""
    from torch._inductor.cpp_builder import get_cpp_compiler  # noqa: PLC0415 (takes a second to import)
    from torch._inductor.exc import InvalidCxxCompiler  # noqa: PLC0415

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        return "a C++ compiler"
    return "" if Path(sysconfig.get_path("include"), "Python.h").is_file() else "Python's headers"


def laid_out_as(weight: Tensor, value: Tensor) -> Tensor:
    """Return a tensor of the same shape in the memory layout of `weight`: fused Adam pairs elements by their place in
    memory, without a check.
    """
    return value if value.stride() == weight.stride() else torch.empty_like(weight).copy_(value)


def _by_name(names: Sequence[str], outputs: Sequence[Any]) -> _Tensors:
    """Return the first outputs by name."""
    # A CUDA graph writes its outputs to the same memory each time.
    return {name: value.clone() if value.is_cuda else value for name, value in zip(names, outputs, strict=False)}


def _trace(
    function: _InTwo, weights: Sequence[nn.Parameter], inputs: Sequence[Tensor]
) -> tuple[list[str], list[str], fx.GraphModule]:
    """Return the names of a function's results, and the graph from its inputs to these results and the gradients."""
    names: list[list[str]] = []

    def pure(*inputs: Tensor) -> list[Tensor | None]:
        for weight in weights:
            weight.grad = None
        early, late = function(*inputs)
        names[:] = list(early), list(late)
        return [*early.values(), *late.values(), *(weight.grad for weight in weights)]

    graph = make_fx(pure)(*inputs)
    for weight in weights:
        weight.grad = None
    early, late = names
    return early, late, graph


def _split(graph: fx.GraphModule, early: int, share: bool) -> tuple[fx.GraphModule, fx.GraphModule]:
    """Return the part of a graph that computes the first `early` outputs, and the part that computes the others.

    What both need, the first also returns, and the second takes after its inputs. Without `share`, both compute it.
    """
    outputs: Any = graph.graph.output_node().args[0]
    in_first = _needed(outputs[:early])
    in_first |= {node for node in graph.graph.nodes if node.target is operator.getitem and node.args[0] in in_first}
    shareable = {node for node in in_first if share and _is_new_tensor(node)}
    in_rest = _needed(outputs[early:], shareable)
    passed = [node for node in graph.graph.nodes if node in shareable & in_rest]
    # A trace lets the result of an in-place operation stand for the tensor, so none is lost.
    assert not any(_is_in_place(user) for node in in_first | in_rest for user in node.users.keys() - in_first - in_rest)
    first = _part(graph, in_first, [], [*outputs[:early], *passed])
    return first, _part(graph, in_rest, passed, outputs[early:])


def _needed(outputs: Iterable[fx.Node | None], known: Collection[fx.Node] = ()) -> set[fx.Node]:
    """Return the nodes from which outputs are computed, back to the `known` ones."""
    needed, pending = set[fx.Node](), [node for node in outputs if node is not None]
    while pending:
        node = pending.pop()
        if node not in needed:
            needed.add(node)
            pending += [] if node in known else node.all_input_nodes
    return needed


def _is_new_tensor(node: fx.Node) -> bool:
    """Whether a node is a tensor with its own memory: not an input, a weight, a view or a list of tensors."""
    if node.target is operator.getitem:
        assert isinstance(node.args[0], fx.Node)
        return not _is_view(node.args[0])
    return node.op == "call_function" and isinstance(node.meta["val"], Tensor) and not _is_view(node)


def _is_view(node: fx.Node) -> bool:
    returns = node.target._schema.returns  # type: ignore[union-attr]
    return any(value.alias_info is not None and not value.alias_info.is_write for value in returns)


def _is_in_place(node: fx.Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _part(
    graph: fx.GraphModule, nodes: set[fx.Node], known: Sequence[fx.Node], outputs: Sequence[fx.Node | None]
) -> fx.GraphModule:
    """Return the graph from the inputs and the `known` values to `outputs`."""
    part, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    for node in (*graph.graph.find_nodes(op="placeholder"), *known):
        copies[node] = part.placeholder(node.name)
    for node in graph.graph.nodes:
        if node in nodes and node not in copies:
            copies[node] = part.node_copy(node, copies.__getitem__)
    part.output([None if node is None else copies[node] for node in outputs])
    return fx.GraphModule(graph, part)


def _compile(graph: fx.GraphModule) -> _Run:
    compiled: _Run = torch.compile(graph, dynamic=False)
    return compiled


class _Recording:
    """A graph recorded as a CUDA graph: each call replays it, from and to the same memory.

    At small sizes, a GPU waits for Python to launch kernels: at 32 px, a replayed step takes a sixth of an eager step's
    time. Recording takes seconds; compiling for a GPU takes minutes.
    """

    def __init__(self, graph: torch.fx.GraphModule, inputs: Sequence[Tensor], stream: Any, memory: Any) -> None:
        self._graph = graph  # holds constants that the recording reads
        self._inputs = [value.clone() for value in inputs]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            graph(*self._inputs)  # libraries choose kernels and allocate at their first call
        torch.cuda.current_stream().wait_stream(stream)
        self._recorded = torch.cuda.CUDAGraph()
        # Other threads may pin batches meanwhile; the default mode forbids that.
        with torch.cuda.graph(self._recorded, memory, stream, capture_error_mode="thread_local"):
            self._outputs: list[Tensor | None] = graph(*self._inputs)

    def __call__(self, *inputs: Tensor) -> list[Tensor | None]:
        for own, value in zip(self._inputs, inputs, strict=True):
            own.copy_(value)
        self._recorded.replay()
        return self._outputs
