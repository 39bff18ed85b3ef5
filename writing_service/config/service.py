"""Everything around drawing: HTTP, jobs, cached answers, logs, traces."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from writing_service.config.values import (
    Fraction,
    KeyHash,
    Level,
    Network,
    Origin,
    RateLimit,
    Slice,
)


class RateLimitSettings(Slice):
    """What one key, or without keys one address, may ask for: `30/minute`, `5/second;500/day`; `null`: no limit."""

    requests: RateLimit | None = None
    """Of all requests but those for open paths."""
    drawing: RateLimit | None = None
    """Of those that make the service draw (POST)."""


class ApiSettings(Slice):
    """Where to listen, whom to let in, and how much to take on.

    [operations.md](operations.md) tells who may reach what.
    """

    host: str
    """`0.0.0.0` answers other machines too, and needs keys."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """For HTTP."""
    keys: dict[str, KeyHash] = {}
    """Hashes of API keys by name (`{bot: "sha256:..."}`), as `writing-service key NAME` prints them. Plain keys come in
    the environment: `WRITING_SERVICE_API_KEYS=name=key,name=key`."""
    serve_without_keys: bool = False
    """Listen beyond this machine without keys, where something else guards the port."""
    open_paths: tuple[str, ...] = ()
    """Paths that need no key and count for no limit; `/*` at the end is everything below."""
    rate_limits: RateLimitSettings = RateLimitSettings()
    trusted_proxies: tuple[Network, ...] = ()
    """Addresses and networks whose `X-Forwarded-For` and `X-Forwarded-Proto` count."""
    cors_origins: tuple[Origin, ...] = ()
    """Other sites whose pages may ask, such as `https://example.org`."""
    max_body_bytes: Annotated[int, Field(ge=1024)]
    """Of a request; a larger one is answered 413."""
    body_timeout_seconds: Annotated[float, Field(gt=0)] = 10.0
    """For the whole of a body to come; then the answer is 408."""
    request_timeout_seconds: Annotated[float, Field(gt=0)]
    """After so long a request is given up and answered 504."""
    max_request_timeout_seconds: Annotated[float, Field(gt=0)] = 600.0
    """A request may ask for another time with the header `X-Request-Timeout`, up to this."""
    max_queue: Annotated[int, Field(ge=1)]
    """Pictures that may wait to be drawn; one more is answered 503."""
    shutdown_grace_seconds: Annotated[float, Field(ge=0)] = 10.0
    """How long what is being drawn may take to end when the service is stopped."""
    studio: bool = True
    """Whether there is a web page at /studio."""


class ResultCacheSettings(Slice):
    """Where finished pictures are kept; loaded models have a cache of their own, `ai_generation.cache`."""

    enabled: bool
    """Whether they are: the same request with the same seed is then drawn once."""
    folder: str | None
    """`null`: the user's cache folder, such as `~/.cache/writing-service`."""
    max_gb: Annotated[float, Field(gt=0)]
    """GiB of the folder; above it the least recently used go."""
    keep_days: Annotated[float, Field(gt=0)]
    """Older pictures are dropped."""
    redis: str | None
    """`redis://host:6379/0` for several hosts, `rediss://` for TLS; the folder serves while it is gone. A password
    belongs into the environment variable `WRITING_SERVICE_REDIS_URL`."""
    reuse_unseeded: bool
    """Requests that name no seed get the picture of an equal one, too."""


class JobSettings(Slice):
    """Long work: where jobs are kept, how many are drawn and may wait, and whom to tell when they are done."""

    url: str
    """The database: `sqlite:///a/file`, or `postgresql://user:password@host/name`, which several hosts may share. The
    environment variable `WRITING_SERVICE_JOBS_URL` keeps its password out of files."""
    at_once: Annotated[int, Field(ge=1, le=64)]
    """Jobs that are drawn at the same time, so that steps have several pictures."""
    max_queued: Annotated[int, Field(ge=1)]
    """Jobs that may wait; one more is answered 503."""
    keep_seconds: Annotated[float, Field(gt=0)]
    """So long a finished job and its pictures are kept."""
    timeout_seconds: Annotated[float, Field(gt=0)]
    """A job that is drawn longer is given up."""
    poll_least_ms: Annotated[int, Field(ge=100)]
    """The least that `poll_after_ms` says while a job is not finished."""
    poll_most_ms: Annotated[int, Field(ge=100)]
    """The most."""
    preview_every: Annotated[int, Field(ge=0)]
    """Steps from one preview of the unfinished picture to the next; 0 is none."""
    lease_seconds: Annotated[float, Field(ge=1)]
    """A host that is not heard of for so long is taken for dead, and its jobs are drawn again."""
    max_attempts: Annotated[int, Field(ge=1)]
    """So many hosts may die of one job before it is given up."""
    webhook_hosts: tuple[str, ...] = ()
    """Hosts that may be told of finished jobs: `[bot.example.org, bot.example.org:8443]`; none: no webhooks."""
    webhook_attempts: Annotated[int, Field(ge=1, le=20)] = 8
    """A webhook is tried so often: after 5, 20, 80 s, ..., at last every six hours."""
    webhook_secret: SecretStr | None = None
    """Signs webhooks: `whsec_` and 24 to 64 bytes in base64, by the environment variable
    `WRITING_SERVICE_WEBHOOK_SECRET`."""


class LoggerSettings(Slice):
    """One logger: a part of the service (`generation`, `ai_models`), or any Python logger by its name."""

    level: Level | None = None
    """`null` is the general one."""
    include_timing: bool = True
    """Its lines tell times."""
    include_parameters: bool = True
    """They tell what was asked for."""
    include_model_loading: bool = True
    """They tell what is loaded."""
    include_memory_usage: bool = True
    """They tell how much memory is used."""


class LoggingSettings(Slice):
    """Levels and files."""

    level: Level
    """Of everything that no logger of its own has; in small letters too."""
    format: Literal["console", "json"] = "console"
    """One line each: `console` for people, `json` for programs."""
    folder: str | None
    """Of the log file; `null` logs to the console only."""
    file: str = "writing_service.log"
    """Its name."""
    max_bytes: Annotated[int, Field(ge=1024)]
    """Then the file is put aside as `writing_service.log.1`, `.2`, ..."""
    backups: Annotated[int, Field(ge=0)]
    """Files that are kept so."""
    loggers: dict[str, LoggerSettings]
    """What single parts of the service log."""


class TracingSettings(Slice):
    """Where traces go, by OpenTelemetry's OTLP over HTTP."""

    endpoint: Annotated[str, Field(pattern="^https?://")] | None = None
    """A collector, such as `http://localhost:4318/v1/traces`; `null`: nowhere, at no cost."""
    sample: Fraction = 1.0
    """The fraction of requests that are traced, of those that no caller has decided about."""
    service_name: str = "writing-service"
    """By what name."""
