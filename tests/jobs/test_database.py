"""Database: what it accepts as a URL, and what it refuses to write to."""

import sqlite3
from pathlib import Path

import pytest

from writing_service.errors import ConfigurationError, JobNotFound, StoreUnavailable
from writing_service.jobs.job import NewJob
from writing_service.jobs.store import JobStore
from writing_service.jobs.tables import SCHEMA


@pytest.mark.parametrize("url", ["", "nothing", "mysql://a:secret@b/c", "postgresql:/a"])
def test_other_urls_are_refused_without_telling_their_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"jobs\.url") as refused:
        JobStore(url, 1, 1)
    assert "secret" not in str(refused.value)


async def test_tables_of_another_version_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite3"
    store = JobStore(f"sqlite:///{path}", 1, 1)
    with pytest.raises(JobNotFound):
        await store.get("x")
    store.close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE writing_job_schema SET version = version + 1")
    database.close()
    store = JobStore(f"sqlite:///{path}", 1, 1)
    with pytest.raises(StoreUnavailable, match=f"version {SCHEMA + 1}.* needs {SCHEMA}"):
        await store.get("x")
    store.close()


async def test_a_database_that_was_removed_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    store = JobStore(f"sqlite:///{folder}/jobs.sqlite3", 1, 1)
    with pytest.raises(JobNotFound):
        await store.get("x")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_text("in the way")
    with pytest.raises(StoreUnavailable):
        await store.create(NewJob({}), 1)
    folder.unlink()
    await store.create(NewJob({}), 1)
    assert (folder / "jobs.sqlite3").exists()
    store.close()
