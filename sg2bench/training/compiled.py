"""Parts of a training step as compiled or recorded graphs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from sg2bench.files import cache_folder


class Compiled:
    """Functions that compute gradients, each traced at its first call, then compiled, or on a GPU recorded.

    A trace also has the operations of autograd, so that gradients, and R1's gradients of gradients, are part of one
    graph, which needs neither autograd nor Python's bookkeeping. Compiled code is kept in the cache folder, where runs
    with the same graphs share it.
    """

    def __init__(self) -> None:
        # Set before the first trace, in which torch would choose a temporary folder.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "compiled"))
        self._graphs: dict[str, tuple[list[str], Callable[..., Any]]] = {}
        self.seconds = 0.0
        """Time spent on tracing and compiling."""

    def __call__(
        self, name: str, function: Callable[..., dict[str, Tensor]], weights: Sequence[nn.Parameter], *inputs: Tensor
    ) -> dict[str, Tensor]:
        """Do what `function(*inputs)` does: set the gradients of `weights`, and return tensors by name.

        `name` must identify the function and all its settings: between calls, only tensors may change.
        """
        device = inputs[0].device.type
        # Autocast is part of the trace, and would be applied twice.
        with torch.no_grad(), torch.autocast(device, enabled=False):
            if name not in self._graphs:
                start = time.monotonic()
                with torch.enable_grad():
                    names, graph = _trace(function, weights, inputs)
                run: Callable[..., Any] = (
                    _Recording(graph, inputs, *self._stream_and_memory) if device == "cuda" else _compile(graph)
                )
                self._graphs[name] = names, run
                outputs = run(*inputs)
                self.seconds += time.monotonic() - start
            else:
                names, run = self._graphs[name]
                outputs = run(*inputs)
        for weight, gradient in zip(weights, outputs[len(names) :], strict=True):
            weight.grad = None if gradient is None else laid_out_as(weight, gradient)
        # A CUDA graph writes its outputs to the same memory each time.
        values = [value.clone() if value.is_cuda else value for value in outputs[: len(names)]]
        return dict(zip(names, values, strict=True))

    @cached_property
    def _stream_and_memory(self) -> tuple[Any, Any]:
        """The stream and the memory of all recordings: a step uses the outputs of one before it replays the next."""
        return torch.cuda.Stream(), torch.cuda.graph_pool_handle()  # type: ignore[no-untyped-call]


def laid_out_as(weight: Tensor, value: Tensor) -> Tensor:
    """Return a tensor of the same shape in the memory layout of `weight`: fused Adam pairs elements by their place in
    memory, without a check.
    """
    return value if value.stride() == weight.stride() else torch.empty_like(weight).copy_(value)


def _trace(
    function: Callable[..., dict[str, Tensor]], weights: Sequence[nn.Parameter], inputs: Sequence[Tensor]
) -> tuple[list[str], torch.fx.GraphModule]:
    """Return the names of a function's results, and the graph from its inputs to these results and the gradients."""
    names: list[str] = []

    def pure(*inputs: Tensor) -> list[Tensor | None]:
        for weight in weights:
            weight.grad = None
        values = function(*inputs)
        names[:] = values
        return [*values.values(), *(weight.grad for weight in weights)]

    graph = make_fx(pure)(*inputs)
    for weight in weights:
        weight.grad = None
    return names, graph


def _compile(graph: torch.fx.GraphModule) -> Callable[..., Any]:
    compiled: Callable[..., Any] = torch.compile(graph, dynamic=False)
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
