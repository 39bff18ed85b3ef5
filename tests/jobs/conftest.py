"""An empty database for each test."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.postgres import PostgresServer, postgres

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresServer]:
    with postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database of its own, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/jobs.sqlite3"
    server: PostgresServer = request.getfixturevalue("postgresql")
    return server.create(f"jobs{next(_numbers)}")
