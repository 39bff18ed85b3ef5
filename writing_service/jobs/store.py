"""JobStore: what is known of every job, kept over restarts and shared by hosts.

A host that begins a job takes a lease on it and renews it; where the lease ends, the host is taken for dead and another
one may begin it. Every change is one transaction that says what it expects to find: who comes second changes nothing.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from writing_service.errors import FieldError, InvalidRequest, JobNotFound, QueueFull
from writing_service.jobs.database import Database, now, serialise
from writing_service.jobs.job import (
    Failure,
    Job,
    JobProgress,
    JobState,
    KeptAnswer,
    KeptFile,
    NewJob,
    Outcome,
)
from writing_service.jobs.tables import FILES, JOBS

QUEUED, RUNNING = JobState.QUEUED, JobState.RUNNING


class JobStore:
    """Jobs by id. Every method raises StoreUnavailable where the database fails."""

    def __init__(self, url: str, keep_seconds: float, lease_seconds: float) -> None:
        """Raises ConfigurationError. See JobSettings."""
        self._database = Database(url)
        self._keep_seconds = keep_seconds
        self._lease_seconds = lease_seconds

    async def create(self, new: NewJob, max_queued: int) -> tuple[Job, bool]:
        """The job, and whether it is new. Raises QueueFull; InvalidRequest where its key is another request's."""
        return await self._database.run(_create, new, max_queued)

    async def get(self, job_id: str) -> Job:
        """Raises JobNotFound."""
        return await self._database.run(_get, job_id)

    async def waiting_before(self, job: Job) -> int:
        """Jobs that wait and come before it."""
        return await self._database.run(_waiting_before, job.number)

    async def unfinished(self) -> dict[str, int]:
        """Jobs of all hosts that wait (`queued`) and that are drawn (`running`)."""
        return await self._database.run(_unfinished)

    async def answer(self, job: Job, role: str | None = None) -> KeptAnswer | None:
        """With files of that role, or all; None where the job has not succeeded."""
        return await self._database.run(_answer, job.number, role)

    async def claim(self, host: str, max_attempts: int) -> Job | None:
        """The next job, from now on this host's; None where none waits.

        Jobs that `max_attempts` hosts began and did not end are left alone.
        """
        return await self._database.run(_claim, host, max_attempts, self._lease_seconds)

    async def renew(self, host: str, progress: Mapping[str, JobProgress]) -> set[str]:
        """Keep the leases on these jobs, and how far they are. Gives those that are still this host's."""
        return await self._database.run(_renew, host, progress, self._lease_seconds)

    async def finish(self, job: Job, outcome: Outcome, progress: JobProgress) -> bool:
        """False, and nothing is kept, where the job is not its host's any more."""
        return await self._database.run(_finish, job, outcome, progress, self._keep_seconds)

    async def release(self, host: str) -> None:
        """Whatever this host has begun waits again, as if it had never been begun."""
        await self._database.run(_release, host)

    async def cancel(self, job_id: str) -> Job:
        """As it is then; a finished one stays as it is. Raises JobNotFound."""
        return await self._database.run(_cancel, job_id, self._keep_seconds)

    async def give_up(self, max_attempts: int, failure: Callable[[], Failure]) -> list[str]:
        """Let jobs fail that so many hosts began and did not end. Gives their ids."""
        return await self._database.run(_give_up, max_attempts, failure, self._keep_seconds)

    async def sweep(self) -> int:
        """Forget what was kept long enough; how many they were."""
        return await self._database.run(_sweep)

    async def claim_webhook(self, again_after: float) -> tuple[Job, int] | None:
        """A finished job of which somebody is to be told now, and how often that was tried.

        Unless `webhook_sent` or `webhook_failed` says otherwise, it is due again after so many seconds.
        """
        return await self._database.run(_claim_webhook, again_after)

    async def webhook_sent(self, job: Job) -> None:
        """Or given up: nobody has to be told any more."""
        await self._database.run(_webhook_due, job.number, None)

    async def webhook_failed(self, job: Job, again_after: float) -> None:
        """To be tried again after so many seconds."""
        await self._database.run(_webhook_due, job.number, again_after)

    def close(self) -> None:
        """What is under way ends first."""
        self._database.close()


def _create(connection: Connection, new: NewJob, max_queued: int) -> tuple[Job, bool]:
    # Two with one key, or two last places in the queue, may come at once.
    serialise(connection)
    if new.key is not None and (found := _one(connection, JOBS.c.key == new.key)):
        if found.fingerprint != new.fingerprint:
            sentence = "This Idempotency-Key came with another request before; take a new one."
            raise InvalidRequest(sentence, [FieldError("Idempotency-Key", sentence)])
        return found, False
    waiting = connection.scalar(
        select(func.count()).select_from(JOBS).where(JOBS.c.state == QUEUED)
    )
    if (waiting or 0) >= max_queued:
        raise QueueFull(
            f"{waiting} jobs wait already, as many as are allowed; try again later.", 30.0
        )
    job_id = uuid.uuid4().hex
    connection.execute(
        insert(JOBS).values(
            id=job_id,
            state=QUEUED,
            request=json.dumps(new.request),
            webhook_url=new.webhook_url,
            key=new.key,
            fingerprint=new.fingerprint,
            created_at=now(connection),
        )
    )
    return _get(connection, job_id), True


def _get(connection: Connection, job_id: str) -> Job:
    if found := _one(connection, JOBS.c.id == job_id):
        return found
    raise JobNotFound(
        "There is no such job; it was kept as long as finished jobs are, or never was."
    )


def _waiting_before(connection: Connection, number: int) -> int:
    before = and_(JOBS.c.state == QUEUED, JOBS.c.number < number)
    return connection.scalar(select(func.count()).select_from(JOBS).where(before)) or 0


def _unfinished(connection: Connection) -> dict[str, int]:
    counted = select(JOBS.c.state, func.count().label("jobs")).group_by(JOBS.c.state)
    rows = connection.execute(counted.where(JOBS.c.state.in_((QUEUED, RUNNING))))
    return {QUEUED.value: 0, RUNNING.value: 0} | {row.state: row.jobs for row in rows}


def _answer(connection: Connection, number: int, role: str | None) -> KeptAnswer | None:
    told = connection.scalar(select(JOBS.c.told).where(JOBS.c.number == number))
    if told is None:
        return None
    wanted = FILES.c.job == number if role is None else _of(number, role)
    rows = connection.execute(select(FILES).where(wanted).order_by(FILES.c.place))
    files = tuple(KeptFile(one.role, one.data, one.kind, one.method) for one in rows)
    return KeptAnswer(json.loads(told), files)


def _of(number: int, role: str) -> ColumnElement[bool]:
    return and_(FILES.c.job == number, FILES.c.role == role)


def _claim(connection: Connection, host: str, max_attempts: int, lease: float) -> Job | None:
    moment = now(connection)
    abandoned = and_(JOBS.c.state == RUNNING, JOBS.c.leased_until < moment)
    free = and_(or_(JOBS.c.state == QUEUED, abandoned), JOBS.c.attempts < max_attempts)
    # Whom another host is looking at in this moment is passed over (SQLite has one transaction at a time).
    first = select(JOBS).where(free).order_by(JOBS.c.number).limit(1)
    row = connection.execute(first.with_for_update(skip_locked=True)).first()
    if row is None:
        return None
    begun = {
        "state": RUNNING,
        "host": host,
        "attempts": row.attempts + 1,
        "leased_until": moment + lease,
        "started_at": moment,
        "progress": "{}",
    }
    connection.execute(update(JOBS).where(JOBS.c.number == row.number).values(begun))
    return _get(connection, row.id)


def _mine(host: str | None) -> ColumnElement[bool]:
    return and_(JOBS.c.state == RUNNING, JOBS.c.host == host)


def _renew(
    connection: Connection, host: str, progress: Mapping[str, JobProgress], lease: float
) -> set[str]:
    until = now(connection) + lease
    # In one order, for two hosts that lock rows in two could wait for each other.
    return {
        job_id
        for job_id, one in sorted(progress.items())
        if connection.execute(
            update(JOBS)
            .where(JOBS.c.id == job_id, _mine(host))
            .values(leased_until=until, progress=json.dumps(asdict(one)))
        ).rowcount
    }


def _finish(
    connection: Connection,
    job: Job,
    outcome: Outcome,
    progress: JobProgress,
    keep: float,
) -> bool:
    moment = now(connection)
    kept = (
        {"state": JobState.FAILED, "failure": json.dumps(outcome.problem)}
        if isinstance(outcome, Failure)
        else {"state": JobState.SUCCEEDED, "told": json.dumps(outcome.told)}
    )
    ended = update(JOBS).where(JOBS.c.number == job.number, _mine(job.host))
    done = connection.execute(
        ended.values(
            **kept,
            **_end(moment, keep),
            **_announcement(moment),
            progress=json.dumps(asdict(progress)),
        )
    ).rowcount
    if done and isinstance(outcome, KeptAnswer) and outcome.files:
        rows = [
            {"job": job.number, "place": place, **asdict(one)}
            for place, one in enumerate(outcome.files)
        ]
        connection.execute(insert(FILES), rows)
    return bool(done)


def _end(moment: float, keep: float) -> dict[str, Any]:
    return {"host": None, "leased_until": None, "finished_at": moment, "expires_at": moment + keep}


def _announcement(moment: float) -> dict[str, Any]:
    """Whoever left a webhook is to be told at once."""
    return {"webhook_due": case((JOBS.c.webhook_url.is_not(None), moment))}


def _release(connection: Connection, host: str) -> None:
    back = {
        "state": QUEUED,
        "host": None,
        "leased_until": None,
        "started_at": None,
        "attempts": JOBS.c.attempts - 1,
        "progress": "{}",
    }
    connection.execute(update(JOBS).where(_mine(host)).values(back))


def _cancel(connection: Connection, job_id: str, keep: float) -> Job:
    unfinished = JOBS.c.state.in_((QUEUED, RUNNING))
    connection.execute(
        update(JOBS)
        .where(JOBS.c.id == job_id, unfinished)
        .values(state=JobState.CANCELLED, **_end(now(connection), keep))
    )
    return _get(connection, job_id)


def _give_up(
    connection: Connection, max_attempts: int, failure: Callable[[], Failure], keep: float
) -> list[str]:
    moment = now(connection)
    hopeless = and_(
        JOBS.c.state == RUNNING,
        JOBS.c.leased_until < moment,
        JOBS.c.attempts >= max_attempts,
    )
    ids = list(connection.scalars(select(JOBS.c.id).where(hopeless)))
    if not ids:
        return []
    connection.execute(
        update(JOBS)
        .where(hopeless)
        .values(
            state=JobState.FAILED,
            failure=json.dumps(failure().problem),
            **_end(moment, keep),
            **_announcement(moment),
        )
    )
    return ids


def _sweep(connection: Connection) -> int:
    expired = JOBS.c.expires_at < now(connection)
    return connection.execute(delete(JOBS).where(expired)).rowcount


def _claim_webhook(connection: Connection, again_after: float) -> tuple[Job, int] | None:
    moment = now(connection)
    due = select(JOBS).where(JOBS.c.webhook_due <= moment).order_by(JOBS.c.webhook_due).limit(1)
    row = connection.execute(due.with_for_update(skip_locked=True)).first()
    if row is None:
        return None
    tried = {"webhook_due": moment + again_after, "webhook_tries": row.webhook_tries + 1}
    connection.execute(update(JOBS).where(JOBS.c.number == row.number).values(tried))
    return _job(row), row.webhook_tries


def _webhook_due(connection: Connection, number: int, again_after: float | None) -> None:
    due = None if again_after is None else now(connection) + again_after
    connection.execute(update(JOBS).where(JOBS.c.number == number).values(webhook_due=due))


def _one(connection: Connection, which: ColumnElement[bool]) -> Job | None:
    row = connection.execute(select(JOBS).where(which)).first()
    return None if row is None else _job(row)


def _job(row: Row[Any]) -> Job:
    return Job(
        row.number,
        row.id,
        JobState(row.state),
        json.loads(row.request),
        row.webhook_url,
        row.fingerprint,
        row.attempts,
        row.host,
        JobProgress(**json.loads(row.progress)),
        None if row.failure is None else json.loads(row.failure),
        row.created_at,
        row.started_at,
        row.finished_at,
        row.expires_at,
    )
