"""The values of this room: a job, how far it is, what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    """QUEUED → RUNNING → SUCCEEDED or FAILED; whoever wants it no more makes it CANCELLED before."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """Whether nothing changes any more."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True)
class JobProgress:
    """How far a job is, as `diffusion.doors.Progress` tells it; pictures are data-URLs of small WebP files.

    `stage` is None while nobody draws it. All of it is plain, for it is kept as JSON.
    """

    stage: str | None = None
    step: int = 0
    steps: int = 0
    attempt: int = 1
    queue_position: int = 0
    seconds_left: float | None = None
    preview: str | None = None
    word_preview: str | None = None
    conditioning_previews: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NewJob:
    """A job to be kept. `request` is ready for JSON.

    Of two with the same `key` (not None) the second is the first, if their `fingerprint`s are the same, too.
    """

    request: Mapping[str, Any]
    webhook_url: str | None = None
    key: str | None = None
    fingerprint: str = ""


@dataclass(frozen=True)
class Job:
    """A job as it is kept. Times are seconds since the epoch; `failure` is the problem that a route would have told.

    `number` gives the order. `attempts` counts the hosts that began it; `host` is the one that draws it.
    """

    number: int
    id: str
    state: JobState
    request: Mapping[str, Any]
    webhook_url: str | None
    fingerprint: str
    attempts: int
    host: str | None
    progress: JobProgress
    failure: Mapping[str, Any] | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    expires_at: float | None


@dataclass(frozen=True)
class KeptFile:
    """One file of an answer: `role` is "picture", "base" or "control", and that one's `kind` and `method`."""

    role: str
    data: bytes
    kind: str = ""
    method: str = ""


@dataclass(frozen=True)
class KeptAnswer:
    """What a job was drawn to: `told` is ready for JSON, files are in their order."""

    told: Mapping[str, Any]
    files: tuple[KeptFile, ...]


@dataclass(frozen=True)
class Failure:
    """What a job failed of: `problem` is ready for JSON."""

    problem: Mapping[str, Any]


Outcome = KeptAnswer | Failure
