"""IntelligentBatcher: which pictures take the next step together, and which need not begin.

Nothing here knows torch: a picture is what it claims of the device.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from writing_service.errors import DeadlinePassed, QueueFull, WritingServiceError
from writing_service.types import Size

ROWS = 2
"""Of a guided picture in a batch; the profile's limit counts such pictures."""

REFERENCE_PIXELS = 1024 * 1024
"""Of the pictures that the profile's limit counts."""

REMEMBERED_STEPS = 50
FRESH_SECONDS = 60.0
"""So long a measured step says something of the next."""


class Claim(Protocol):
    """What a picture takes of the device. Equal `arrival` means: of one job."""

    @property
    def arrival(self) -> int:
        """Smaller came earlier."""
        ...

    @property
    def size(self) -> Size:
        """As drawn. Only pictures of one size and one length of text share a step."""
        ...

    @property
    def text_chunks(self) -> int:
        """Of its prompt."""
        ...

    @property
    def rows(self) -> int:
        """Of a step's batch: two under guidance, else one."""
        ...

    @property
    def rows_left(self) -> int:
        """Of all steps until it only has to be decoded, added up."""
        ...


Claimed = TypeVar("Claimed", bound=Claim)


class IntelligentBatcher:
    """Chooses the batch of each step.

    The oldest picture decides size and length of text, and all others alike join it, oldest first,
    as far as the device reaches. So none starves: whoever is the oldest is in every batch.
    """

    def __init__(self, max_batch_size: int, one_at_a_time: bool = False) -> None:
        """`max_batch_size` counts guided pictures of 1024×1024; of smaller ones more fit in.

        With `one_at_a_time` each batch is one picture, whatever its size.
        """
        self._whole = float(max_batch_size * ROWS * REFERENCE_PIXELS)
        self._limit = self._whole
        self._one_at_a_time = one_at_a_time

    def choose(self, claims: Iterable[Claimed]) -> list[Claimed]:
        """The next step's batch, oldest first; empty only when there are none."""
        waiting = sorted(claims, key=lambda one: one.arrival)
        if self._one_at_a_time or not waiting:
            return waiting[:1]
        alike = [one for one in waiting if _shape(one) == _shape(waiting[0])]
        batch, load = [alike[0]], load_of(alike[:1])
        for one in alike[1:]:
            load += load_of([one])
            if load > self._limit:
                break
            batch.append(one)
        return batch

    def shrink(self, batch: Sequence[Claim]) -> None:
        """Memory did not suffice for this batch: from now on choose at most half of it."""
        self._limit = min(self._limit, load_of(batch) / 2)

    def recover(self) -> None:
        """Forget that memory was short: what held it may be gone."""
        self._limit = self._whole


class Pace:
    """How fast the device was of late, and what that promises. Times are in seconds."""

    def __init__(self) -> None:
        self._steps = deque[tuple[float, float]](maxlen=REMEMBERED_STEPS)

    def record(self, load: float, seconds: float, now: float) -> None:
        """One step of a batch of this load took so long."""
        self._steps.append((now, seconds / load))

    def seconds(self, claims: Iterable[Claim], now: float) -> float | None:
        """For all remaining steps of these pictures; None when nothing is known."""
        return self._promise(claims, now, lambda paces: sorted(paces)[len(paces) // 2])

    def least_seconds(self, claims: Iterable[Claim], now: float) -> float | None:
        """The same at the best pace seen."""
        return self._promise(claims, now, min)

    def _promise(
        self, claims: Iterable[Claim], now: float, choose: Callable[[list[float]], float]
    ) -> float | None:
        # A pace from long ago says nothing: a device that was slow then would refuse for ever.
        fresh = [pace for at, pace in tuple(self._steps) if now - at < FRESH_SECONDS]
        if not fresh:
            return None
        return choose(fresh) * sum(one.rows_left * _pixels(one.size) for one in claims)


def refusal(
    pace: Pace, mine: Sequence[Claim], ahead: Sequence[Claim], deadline: float, now: float
) -> WritingServiceError | None:
    """Why a job that just came cannot be done before its deadline; None when it may be.

    DeadlinePassed when it could not even alone, at the best pace seen; QueueFull when it could not
    behind those ahead of it, at the usual pace.
    """
    remaining = deadline - now
    if (alone := pace.least_seconds(mine, now)) is not None and alone > remaining:
        return DeadlinePassed(
            f"The picture would take about {alone:.0f} s, more than the {max(0.0, remaining):.0f} s "
            "allowed; ask for a smaller one, or for fewer steps."
        )
    if not ahead:
        return None
    wait = pace.seconds(ahead, now)
    whole = pace.seconds([*ahead, *mine], now)
    if wait is None or whole is None or whole <= remaining:
        return None
    return QueueFull(
        f"The pictures ahead take about {wait:.0f} s more, too long for this one; try again later.",
        retry_after=max(1.0, whole - remaining),
    )


def load_of(batch: Iterable[Claim]) -> float:
    """Pixels over all rows of their next step."""
    return float(sum(one.rows * _pixels(one.size) for one in batch))


def _shape(claim: Claim) -> tuple[Size, int]:
    """What pictures must have alike to share a step."""
    return claim.size, claim.text_chunks


def _pixels(size: Size) -> int:
    return size.width * size.height
