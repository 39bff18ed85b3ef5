"""Database: transactions in threads, on SQLite or PostgreSQL, whatever happens to the server meanwhile."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, make_url, select, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from writing_service.errors import ConfigurationError, StoreUnavailable
from writing_service.jobs.tables import METADATA, SCHEMA, VERSION

logger = logging.getLogger(__name__)

WAIT_SECONDS = 5
"""For a connection, or for another process that writes."""

_POSTGRESQL_CONNECTIONS = 4
_ONE_WRITER = 7_160_227
"""Key of the advisory lock under which PostgreSQL serialises what two hosts must not do at once."""

_DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}

Given = ParamSpec("Given")
Result = TypeVar("Result")


class Database:
    """Runs functions of a connection, each in a transaction and a thread of its own kind.

    Tables are made at the first use. Whatever goes wrong outside of this program is StoreUnavailable, and the next use
    begins anew.
    """

    def __init__(self, url: str) -> None:
        """Raises ConfigurationError for a URL that is none of SQLite or PostgreSQL; connects to nothing yet."""
        self._url = _checked(url)
        self._sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = _sqlite(self._url) if self._sqlite else _postgresql(self._url)
        # SQLite has one writer at a time: with one thread nobody in this process waits for a lock.
        threads = 1 if self._sqlite else _POSTGRESQL_CONNECTIONS
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="jobs")
        self._file = Path(self._url.database or "") if self._sqlite else None
        self._known: object = None

    async def run(
        self,
        work: Callable[Concatenate[Connection, Given], Result],
        *args: Given.args,
        **kwargs: Given.kwargs,
    ) -> Result:
        """What `work` gives; all it wrote is kept, or none of it. Raises StoreUnavailable, and what `work` raises."""
        whole = partial(self._transaction, work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, whole)

    def close(self) -> None:
        """What runs ends first."""
        self._threads.shutdown(wait=True)
        self._engine.dispose()

    def _transaction(self, work: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        try:
            self._prepare()
            with self._engine.begin() as connection:
                return work(connection, *args, **kwargs)
        except IntegrityError:
            raise
        except (DBAPIError, PoolTimeout, OSError) as error:
            self._known = None
            raise StoreUnavailable(
                f"The jobs' database cannot be used now ({_reason(error)}); try again later.", 10.0
            ) from error

    def _prepare(self) -> None:
        """Make the tables, once; again where the database may be another one now."""
        if self._known is not None and self._known == self._identity():
            return
        if self._file is not None and self._url.database:
            # SQLite would go on to write to a file that was removed. (PostgreSQL's pool notices what is lost.)
            self._engine.dispose()
            self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._engine.begin() as connection:
            _make_tables(connection)
        self._known = self._identity()

    def _identity(self) -> object:
        """Of the file; None where there is none, True where it is no file."""
        if self._file is None or not self._url.database:
            return True
        try:
            found = self._file.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino


def serialise(connection: Connection) -> None:
    """Until the transaction ends, no other one gets past this."""
    # SQLite's transactions are serial from their beginning.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ONE_WRITER})


def now(connection: Connection) -> float:
    """Seconds since the epoch, by the one clock that all hosts share."""
    if connection.dialect.name == "postgresql":
        return float(connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())")) or 0)
    return time.time()


def _make_tables(connection: Connection) -> None:
    serialise(connection)
    METADATA.create_all(connection)
    found = connection.scalar(select(VERSION.c.version))
    if found is None:
        connection.execute(insert(VERSION).values(version=SCHEMA))
    elif found != SCHEMA:
        raise StoreUnavailable(
            f"The jobs' database has tables of version {found}, this service needs {SCHEMA}; give it another "
            "database (jobs.url), or the service that fits."
        )


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
        driver = _DRIVERS[parsed.get_backend_name()]
    except (ArgumentError, ValueError, KeyError):
        # Without the URL, in which a password may stand.
        raise ConfigurationError(
            "Setting 'jobs.url' must be sqlite:///a/file, or postgresql://user:password@host/name."
        ) from None
    return parsed.set(drivername=driver)


def _sqlite(url: URL) -> Engine:
    # There is one thread at a time: that of the pool, and in the end the one that closes.
    options = {"timeout": WAIT_SECONDS, "check_same_thread": False}
    engine = create_engine(url, connect_args=options)

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: Any) -> None:
        # The driver must not begin transactions by itself: it would do so too late.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        # A transaction that reads first and then writes could not get its lock any more.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _postgresql(url: URL) -> Engine:
    try:
        return create_engine(
            url,
            pool_size=_POSTGRESQL_CONNECTIONS,
            max_overflow=0,
            pool_timeout=WAIT_SECONDS,
            pool_pre_ping=True,
            connect_args={"connect_timeout": WAIT_SECONDS, "application_name": "writing-service"},
        )
    except (ImportError, NoSuchModuleError):
        raise ConfigurationError(
            "Setting 'jobs.url' names PostgreSQL, and a package for it is missing: pip install "
            "'writing-service[postgres]'."
        ) from None


def _reason(error: BaseException) -> str:
    """The first line of what the driver says."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return str(cause).strip().partition("\n")[0].rstrip(".") or type(cause).__name__
