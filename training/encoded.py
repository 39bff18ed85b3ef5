"""What the diffusion trains on: the pool's pictures as latents, its control images as the ControlNet sees them.

All that is frozen is computed once a sample: the VAE's encoder, and the conditioning embedding, which
would be half the cost of a step. New samples that take the places of old ones are encoded as they come.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn
from transformers import CLIPTokenizer

from training.control import control_images
from training.models import BLOCK_CHANNELS, LATENT_CHANNELS, LATENT_FACTOR
from training.pool import Bucket, SamplePool
from training.samples import KINDS
from training.text import tokenize
from training.vae import encode
from writing_service.types import Size

CROP = 256
"""Side of a crop, in pixels."""


@dataclass(frozen=True)
class Window:
    """The part of the pictures that a batch shows, in pixels; multiples of the latent's 16."""

    top: int
    left: int
    size: Size

    def of(self, latents: Tensor) -> Tensor:
        """Cut (..., H/16, W/16)."""
        top, left = self.top // LATENT_FACTOR, self.left // LATENT_FACTOR
        height, width = latent_shape(self.size)
        return latents[..., top : top + height, left : left + width]


@dataclass(frozen=True, eq=False)
class Draw:
    """Which samples a batch shows: `places` (n,) in the bucket of that index, one of two `captions` (n,) of each."""

    bucket: int
    size: Size
    window: Window
    places: np.ndarray
    captions: np.ndarray
    styles: np.ndarray

    @property
    def is_whole(self) -> bool:
        """Whether the window is the whole picture."""
        return self.window.size == self.size

    @property
    def time_ids(self) -> Tensor:
        """(6,) SDXL's size conditions: whole size, offset and size of the window, each height first."""
        whole, window = self.size, self.window
        ids = (whole.height, whole.width, window.top, window.left)
        return torch.tensor((*ids, window.size.height, window.size.width), dtype=torch.float32)


@dataclass(frozen=True, eq=False)
class Batch:
    """n samples seen through a window.

    `latents` (n, 16, h, w) and `words` (n, 1, h, w), the word's coverage, are the window's; `tokens` (n, 77)
    are of one of each sample's captions.
    """

    latents: Tensor
    words: Tensor
    tokens: Tensor


@dataclass(eq=False)
class _Encoded:
    """One bucket's samples, (capacity, ...); the first `added` of the bucket's have been encoded."""

    latents: Tensor
    sights: Tensor
    words: Tensor
    tokens: Tensor
    added: int = 0


class EncodedPool:
    """The pool as the networks take it; kept in `file` where there is one."""

    def __init__(
        self,
        pool: SamplePool,
        vae: AutoencoderKL,
        embedding: nn.Module,
        tokenizer: CLIPTokenizer,
        device: torch.device,
        file: Path | None,
    ) -> None:
        self._pool, self._vae, self._embedding = pool, vae, embedding
        self._tokenizer, self._device, self._file = tokenizer, device, file
        self._buckets = [self._empty(bucket) for bucket in pool.buckets]
        if file and file.exists():
            for bucket, saved in zip(
                self._buckets, torch.load(file, weights_only=True), strict=True
            ):
                vars(bucket).update(saved)

    @torch.no_grad()
    def update(self, chunk: int = 32) -> None:
        """Encode what has come since the last call."""
        self._pool.absorb()
        new = False
        for bucket, encoded in zip(self._pool.buckets, self._buckets, strict=True):
            size = max(2, chunk * 512 * 512 // (bucket.size.width * bucket.size.height))
            first = max(encoded.added, bucket.added - bucket.capacity)
            for start in range(first, added := bucket.added, size):
                places = np.arange(start, min(added, start + size))
                if self._device.type == "cuda":
                    # Always as many, some twice: each new shape would be planned anew.
                    places = np.resize(places, size)
                self._encode(bucket, encoded, places % bucket.capacity)
                new = True
            encoded.added = added
        if new and self._file:
            torch.save([vars(bucket) for bucket in self._buckets], self._file)

    def draw(
        self,
        sizes: np.random.Generator,
        generator: np.random.Generator,
        batch: int,
        cropped: bool,
    ) -> Draw:
        """About `batch` crops' area: larger pictures come fewer at a time. `sizes` picks the bucket alone, so that
        processes that share it train on one size at a time."""
        bucket = self._pool.pick_bucket(sizes)
        index = self._pool.buckets.index(bucket)
        encoded = self._buckets[index]
        if not encoded.added:  # it came to life after the last update
            return self.draw(sizes, generator, batch, cropped)
        window = _window(bucket.size, generator, cropped)
        number = max(2, round(batch * CROP * CROP / (window.size.width * window.size.height)))
        places = generator.integers(0, min(encoded.added, bucket.capacity), number)
        return Draw(
            index,
            bucket.size,
            window,
            places,
            generator.integers(0, 2, number),
            np.array([bucket.styles[place] for place in places]),
        )

    def some(self, most: int) -> tuple[Batch, Tensor]:
        """As many whole pictures of the first bucket as there are, up to `most`, and their styles (n,)."""
        bucket, encoded = self._pool.buckets[0], self._buckets[0]
        number = min(most, encoded.added, bucket.capacity)
        batch = Batch(
            encoded.latents[:number].float(),
            encoded.words[:number].float()[:, None],
            encoded.tokens[:number, 0].long(),
        )
        return batch, torch.tensor(bucket.styles[:number], device=self._device)

    def batch(self, drawn: Draw, places: Tensor, captions: Tensor) -> Batch:
        """What was drawn, with the draw's places and captions as tensors."""
        encoded = self._buckets[drawn.bucket]
        return Batch(
            drawn.window.of(encoded.latents[places]).float(),
            drawn.window.of(encoded.words[places]).float()[:, None],
            encoded.tokens[places, captions].long(),
        )

    def sights(self, drawn: Draw, places: Tensor, kinds: Tensor) -> Tensor:
        """Control images `kinds` of the samples at `places`, as the ControlNet sees them: (n, 96, h, w)."""
        chosen = self._buckets[drawn.bucket].sights[places, kinds]
        return drawn.window.of(chosen).contiguous(memory_format=torch.channels_last)

    def _empty(self, bucket: Bucket) -> _Encoded:
        height, width = latent_shape(bucket.size)

        def room(*shape: int, dtype: torch.dtype = torch.float16) -> Tensor:
            return torch.empty(bucket.capacity, *shape, dtype=dtype, device=self._device)

        return _Encoded(
            room(LATENT_CHANNELS, height, width),
            room(len(KINDS), BLOCK_CHANNELS[0], height, width),
            room(height, width),
            room(2, 77, dtype=torch.int16),
        )

    def _encode(self, bucket: Bucket, encoded: _Encoded, places: np.ndarray) -> None:
        where = torch.from_numpy(places)
        home, here = where.to(bucket.images.device), where.to(self._device)
        encoded.latents[here] = encode(self._vae, bucket.images[home], self._device).half()
        for kind in range(len(KINDS)):
            images = control_images(bucket, places, np.full(len(places), kind), self._device)
            with torch.autocast(self._device.type, torch.bfloat16):
                encoded.sights[here, kind] = self._embedding(images).half()
        masks = bucket.controls[home, -1].to(self._device).float() / 255
        encoded.words[here] = F.avg_pool2d(masks[:, None], LATENT_FACTOR)[:, 0].half()
        captions = [caption for place in places for caption in bucket.captions[place]]
        tokens = tokenize(self._tokenizer, captions).view(-1, 2, 77)
        encoded.tokens[here] = tokens.to(self._device, torch.int16)


def latent_shape(size: Size) -> tuple[int, int]:
    """Height and width in latent pixels."""
    return size.height // LATENT_FACTOR, size.width // LATENT_FACTOR


def _window(size: Size, generator: np.random.Generator, cropped: bool) -> Window:
    if not cropped:
        return Window(0, 0, size)
    top, left = (
        LATENT_FACTOR * int(generator.integers(0, (side - CROP) // LATENT_FACTOR + 1))
        for side in (size.height, size.width)
    )
    return Window(top, left, Size(CROP, CROP))
