"""Where the samples wait: tensors by picture size, filled by worker processes while training goes on.

On a GPU everything lives in its memory; on a CPU the pool is a folder of memory-mapped files that a
later run opens again.
"""

import itertools
import json
import multiprocessing
import os
import queue
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch

from training.samples import PLANES, Sample, SampleMaker
from writing_service.types import Size


@dataclass(eq=False)
class Bucket:
    """All samples of one size, `added` so far; when every place is taken, the oldest makes room."""

    size: Size
    images: torch.Tensor
    controls: torch.Tensor
    captions: list[tuple[str, str]]
    styles: list[int]
    concepts: list[int]
    added: int = 0

    @property
    def capacity(self) -> int:
        """Places."""
        return self.images.shape[0]

    @property
    def count(self) -> int:
        """Places that are filled: the first ones."""
        return min(self.added, self.capacity)

    def add(self, sample: Sample) -> None:
        """Store in the next place."""
        place = self.added % self.capacity
        self.images[place].copy_(torch.from_numpy(sample.target))
        self.controls[place].copy_(torch.from_numpy(sample.controls))
        self.captions[place] = sample.captions
        self.styles[place] = sample.style
        self.concepts[place] = sample.concept
        self.added += 1


@dataclass(eq=False)
class SamplePool:
    """The buckets, largest share first, and how often a batch is drawn from each.

    `waiting` are samples that would take the place of older ones, with their bucket's index.
    """

    name: str
    buckets: list[Bucket]
    shares: list[float]
    waiting: queue.SimpleQueue[tuple[int, Sample]] = field(default_factory=queue.SimpleQueue)
    closed: threading.Event = field(default_factory=threading.Event)

    def close(self) -> None:
        """No further samples are wanted."""
        self.closed.set()

    def absorb(self) -> None:
        """Let what waits take the oldest places: at a moment when nobody counts on what is there."""
        for _ in range(self.waiting.qsize()):
            index, sample = self.waiting.get()
            self.buckets[index].add(sample)

    def pick_bucket(self, generator: np.random.Generator) -> Bucket:
        """A bucket by its share, among those that hold anything."""
        ready = [(b, s) for b, s in zip(self.buckets, self.shares, strict=True) if b.count >= 16]
        weights = np.array([share for _, share in ready])
        return ready[generator.choice(len(ready), p=weights / weights.sum())][0]


_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def open_pool(
    name: str,
    plan: dict[Size, tuple[int, float]],
    device: torch.device,
    folder: Path | None = None,
) -> SamplePool:
    """`plan` gives each size its places and its share of the batches."""
    buckets = [_open_bucket(size, places, device, folder) for size, (places, _) in plan.items()]
    return SamplePool(name, buckets, [share for _, share in plan.values()])


def fill(
    pool: SamplePool, workers: int, maker: SampleMaker, endless: bool = False
) -> threading.Thread:
    """Fill from worker processes, in a thread, until every bucket is full; sizes come interleaved.

    `endless` goes on with samples that wait to be absorbed.
    """
    thread = threading.Thread(target=_fill, args=(pool, workers, maker, endless), daemon=True)
    thread.start()
    return thread


def save_index(pool: SamplePool, folder: Path) -> None:
    """Write what the memory-mapped files lack: captions, styles, concepts, counts."""
    for bucket in pool.buckets:
        index = {
            "count": bucket.count,
            "captions": bucket.captions,
            "styles": bucket.styles,
            "concepts": bucket.concepts,
        }
        _index_file(folder, bucket.size).write_text(json.dumps(index, ensure_ascii=False))


def _fill(pool: SamplePool, workers: int, maker: SampleMaker, endless: bool) -> None:
    # One thread for each worker: they are as many as the cores already. Libraries read this when they load.
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    context = multiprocessing.get_context("forkserver")
    with (
        tempfile.TemporaryDirectory(dir=_memory_folder()) as scratch,
        context.Pool(workers, _start_worker, (maker, Path(scratch))) as processes,
    ):
        for index, sample in processes.imap_unordered(_make, _numbers(pool, endless)):
            bucket = pool.buckets[index]
            if bucket.added < bucket.capacity:
                bucket.add(sample.read())
            else:
                pool.waiting.put((index, sample.read()))


def _memory_folder() -> str | None:
    """Pixels pass between processes through files in memory: pickling them would hold up the training thread."""
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() else None


@dataclass(frozen=True)
class _Parcel:
    """A sample whose pixels lie in a file."""

    path: Path
    captions: tuple[str, str]
    style: int
    concept: int

    def read(self) -> Sample:
        pixels = np.load(self.path)
        self.path.unlink()
        return Sample(pixels[:3], pixels[3:], self.captions, self.style, self.concept)


def _numbers(pool: SamplePool, endless: bool) -> Iterator[tuple[int, int, Size]]:
    """(bucket, sample number, size); waits while the workers are far ahead of the pool."""
    places = [i for i, b in enumerate(pool.buckets) for _ in range(b.capacity - b.count)]
    first = sum(bucket.added for bucket in pool.buckets)
    generator = np.random.default_rng(first)
    generator.shuffle(places)
    rounds = itertools.cycle(generator.permutation(len(places)).tolist()) if endless else ()
    for sent, index in enumerate(itertools.chain(places, (places[turn] for turn in rounds))):
        while first + sent - sum(bucket.added for bucket in pool.buckets) > 256:
            if pool.closed.wait(0.05):
                return
        yield index, first + sent, pool.buckets[index].size


_maker: SampleMaker
_scratch: Path


def _start_worker(maker: SampleMaker, scratch: Path) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    global _maker, _scratch  # each worker process has its own
    _maker, _scratch = maker, scratch


def _make(task: tuple[int, int, Size]) -> tuple[int, _Parcel]:
    index, number, size = task
    sample = _maker.make(number, size)
    path = _scratch / f"{number}.npy"
    np.save(path, np.concatenate([sample.target, sample.controls]))
    return index, _Parcel(path, sample.captions, sample.style, sample.concept)


def _open_bucket(size: Size, places: int, device: torch.device, folder: Path | None) -> Bucket:
    images_shape = (places, 3, size.height, size.width)
    controls_shape = (places, PLANES, size.height, size.width)
    if folder is None:
        images = torch.empty(images_shape, dtype=torch.uint8, device=device)
        controls = torch.empty(controls_shape, dtype=torch.uint8, device=device)
        return Bucket(size, images, controls, [("", "")] * places, [0] * places, [0] * places)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{size.width}x{size.height}"
    images = _mapped(folder / f"{name}-images.npy", images_shape)
    controls = _mapped(folder / f"{name}-controls.npy", controls_shape)
    bucket = Bucket(size, images, controls, [("", "")] * places, [0] * places, [0] * places)
    if _index_file(folder, size).exists():
        index = json.loads(_index_file(folder, size).read_text())
        bucket.added, bucket.styles = index["count"], index["styles"]
        bucket.captions = [tuple(pair) for pair in index["captions"]]
        bucket.concepts = index["concepts"]
    return bucket


def _mapped(path: Path, shape: tuple[int, ...]) -> torch.Tensor:
    mode = "r+" if path.exists() else "w+"
    array = np.lib.format.open_memmap(path, mode=mode, dtype=np.uint8, shape=shape)
    if array.shape != shape:
        raise ValueError(f"{path} holds {array.shape}, not {shape}; remove it to draw it again.")
    return torch.from_numpy(array)


def _index_file(folder: Path, size: Size) -> Path:
    return folder / f"{size.width}x{size.height}.json"


def wait_for(pool: SamplePool, samples: int) -> None:
    """Block until the first bucket holds that many samples, or is full."""
    bucket = pool.buckets[0]
    while bucket.count < min(samples, bucket.capacity):
        time.sleep(0.2)
