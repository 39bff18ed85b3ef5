"""Steps of a fixed shape, recorded on a GPU as a graph of kernels and replayed.

The networks are so small that launching their kernels one by one takes longer than running them.
"""

from collections.abc import Callable, Hashable

import torch
from torch import Tensor


class Recorder:
    """Runs functions of tensors; a function's result, if any, is overwritten by its next run.

    On a GPU the first run with a key is a plain one, which lets libraries prepare; the second is recorded, and from
    then on replayed on new inputs. So a function must do the same with every input: no branch on values, no new
    shapes, no state but tensors that stay where they are.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._seen: set[Hashable] = set()
        self._recorded: dict[Hashable, _Recording] = {}
        if self._on_gpu:
            self._pool = torch.cuda.graph_pool_handle()
            self._stream = torch.cuda.Stream()

    def run(
        self, key: Hashable, function: Callable[..., Tensor | None], *inputs: Tensor
    ) -> Tensor | None:
        """`key` tells functions and input shapes apart, None is not for recording; `inputs` may be on the CPU."""
        if not self._on_gpu:
            return function(*inputs)
        if key is None or key not in self._seen:
            self._seen.add(key)
            return self._plainly(function, inputs)
        if key not in self._recorded:
            self._recorded[key] = _Recording(function, inputs, self._pool, self._stream)
        return self._recorded[key].replay(inputs)

    def _plainly(
        self, function: Callable[..., Tensor | None], inputs: tuple[Tensor, ...]
    ) -> Tensor | None:
        """On the stream that will record: autograd remembers where it ran."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            result = function(*(one.cuda() for one in inputs))
        torch.cuda.current_stream().wait_stream(self._stream)
        return result


class _Recording:
    """A graph with the places of its inputs and of its result."""

    def __init__(
        self,
        function: Callable[..., Tensor | None],
        inputs: tuple[Tensor, ...],
        pool: tuple[int, int],
        stream: torch.cuda.Stream,
    ) -> None:
        self._inputs = [one.cuda().clone() for one in inputs]
        self._graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        # Other threads bring samples to the GPU meanwhile.
        with torch.cuda.graph(
            self._graph, pool=pool, stream=stream, capture_error_mode="thread_local"
        ):
            self._result = function(*self._inputs)

    def replay(self, inputs: tuple[Tensor, ...]) -> Tensor | None:
        for place, value in zip(self._inputs, inputs, strict=True):
            place.copy_(value, non_blocking=True)
        self._graph.replay()
        return self._result
