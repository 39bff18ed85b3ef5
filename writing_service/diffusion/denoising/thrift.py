"""Too little memory is survived: halve the batch, then tile, then offload, then fail one picture."""

import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import torch

from writing_service.diffusion.denoising.decoding import Decoded
from writing_service.diffusion.denoising.denoiser import Denoiser
from writing_service.diffusion.denoising.picture import Direction, Picture, PreparedJob
from writing_service.diffusion.gpu import GPUManager
from writing_service.errors import GenerationFailed
from writing_service.types import GenerationJob, Size

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")
Relief = Callable[[], AbstractContextManager[bool]]
"""While it is entered, the same work takes less memory; it gives False when it cannot help."""


class ThriftyDenoiser:
    """A Denoiser's work, tried again with less memory where it ran out.

    Nothing that is tried again has changed a picture before. `shortages` counts failed tries.
    """

    def __init__(self, denoiser: Denoiser, gpu: GPUManager) -> None:
        self._denoiser = denoiser
        self._gpu = gpu
        self.shortages = 0

    def prepare(self, job: GenerationJob) -> PreparedJob:
        """See Denoiser. Raises GenerationFailed when memory does not suffice."""
        (prepared,) = self._halving(
            lambda jobs: [self._denoiser.prepare(one) for one in jobs],
            [job],
            [self._offloaded],
            lambda one: one.size,
        )
        if isinstance(prepared, GenerationFailed):
            raise prepared
        return prepared

    def directions(self, pictures: Sequence[Picture]) -> list[Direction | GenerationFailed]:
        """See Denoiser; a picture that finds no memory gets its failure instead."""
        return self._halving(
            self._denoiser.directions, pictures, [self._offloaded], lambda one: one.job.size
        )

    def decode(self, pictures: Sequence[Picture]) -> list[Decoded | GenerationFailed]:
        """Each one's picture, or its failure."""

        def decode(some: Sequence[Picture]) -> Sequence[Decoded]:
            return self._denoiser.decoder.decode(torch.cat([one.latents for one in some]))

        reliefs = [self._tiled, self._offloaded]
        return self._halving(decode, pictures, reliefs, lambda one: one.job.size)

    def _halving(
        self,
        work: Callable[[Sequence[Item]], Sequence[Result]],
        items: Sequence[Item],
        reliefs: Sequence[Relief],
        size_of: Callable[[Item], Size],
    ) -> list[Result | GenerationFailed]:
        """Work on all items at once or, where memory runs out, on ever fewer."""
        if (done := self._tried(work, items)) is not None:
            return list(done)
        if len(items) > 1:
            middle = (len(items) + 1) // 2
            halves = items[:middle], items[middle:]
            return [one for half in halves for one in self._halving(work, half, reliefs, size_of)]
        for relief in reliefs:
            with relief() as helps:
                done = self._tried(work, items) if helps else None
            if done is not None:
                return list(done)
        return [_out_of_memory(size_of(items[0]))]

    def _tried(
        self, work: Callable[[Sequence[Item]], Sequence[Result]], items: Sequence[Item]
    ) -> Sequence[Result] | None:
        """None when memory ran out; what the try held is free again then."""
        try:
            return work(items)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            logger.warning("Memory ran out over %d picture(s): %s", len(items), error)
        self.shortages += 1
        self._denoiser.forget_recordings()
        self._gpu.free_memory()
        return None

    @contextmanager
    def _tiled(self) -> Generator[bool]:
        """The VAE decodes large pictures in overlapping tiles: nearly the same picture."""
        vae = self._denoiser.base.vae
        if vae.use_tiling:
            yield False
            return
        vae.enable_tiling()
        try:
            yield True
        finally:
            vae.disable_tiling()

    @contextmanager
    def _offloaded(self) -> Generator[bool]:
        """From now on the models wait in main memory for their turn."""
        yield self._gpu.offload_pipeline(self._denoiser.base, self._denoiser.controls.networks)


def is_out_of_memory(error: BaseException) -> bool:
    """On the CPU torch has no type of its own for this."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or "DefaultCPUAllocator" in str(error)


def _out_of_memory(size: Size) -> GenerationFailed:
    return GenerationFailed(
        f"Memory ran out while drawing {size.width}×{size.height}; ask for a smaller picture, "
        "or set ai_generation.gpu.enable_cpu_offload=true."
    )
