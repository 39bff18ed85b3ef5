"""The tables in which jobs are kept; the same in SQLite and PostgreSQL."""

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

SCHEMA = 1
"""Counts up when the tables change."""

METADATA = MetaData()

VERSION = Table("writing_job_schema", METADATA, Column("version", Integer, nullable=False))
"""One row."""

JOBS = Table(
    "writing_jobs",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    # JSON is kept as ASCII text: PostgreSQL's own types refuse the NULs and half surrogates that clients may send.
    Column("request", Text, nullable=False),
    Column("webhook_url", Text),
    Column("key", String(64), unique=True),
    Column("fingerprint", String(64), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("host", String(255)),
    Column("leased_until", Float),
    Column("progress", Text, nullable=False, default="{}"),
    Column("told", Text),
    Column("failure", Text),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("expires_at", Float),
    Column("webhook_due", Float),
    Column("webhook_tries", Integer, nullable=False, default=0),
    Index("writing_jobs_turn", "state", "number"),
    Index("writing_jobs_expiry", "expires_at"),
    Index("writing_jobs_webhooks", "webhook_due"),
    # A number is never given twice, so that what is kept of a job cannot be taken for another's.
    sqlite_autoincrement=True,
)

FILES = Table(
    "writing_job_files",
    METADATA,
    Column("job", ForeignKey(JOBS.c.number, ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("role", String(16), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("method", String(64), nullable=False),
    Column("data", LargeBinary, nullable=False),
)
