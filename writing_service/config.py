"""Settings: Hydra composes the YAML of `conf/config`, pydantic checks and freezes it.

Nobody else knows Hydra. Each object is given only its own slice. A wrong key or value is a
ConfigurationError whose one sentence names it.
"""

import difflib
import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import limits
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_core import ErrorDetails
from yaml import YAMLError

from writing_service.errors import ConfigurationError
from writing_service.types import ConditioningKind, FaceKind


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _whole_if_possible(value: float) -> float:
    return int(value) if value.is_integer() else value


def _device(value: str) -> str:
    kind, colon, index = value.partition(":")
    if value in ("auto", "cpu") or (kind == "cuda" and (index.isdecimal() or not colon)):
        return value
    raise ValueError("must be auto, cpu, cuda or cuda:N")


def _window(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] < value[1]:
        return value
    raise ValueError("must begin before it ends")


def _rate_limit(value: str) -> str:
    try:
        limits.parse_many(value)
    except ValueError:
        raise ValueError("must be such as 30/minute or 5/second;500/day") from None
    return value


def _key_hash(value: str) -> str:
    algorithm, _, digest = value.partition(":")
    length = {"sha256": 64, "sha512": 128}.get(algorithm)
    if length and re.fullmatch(f"[0-9a-f]{{{length}}}", digest):
        return value
    raise ValueError("must be sha256: or sha512: and the hexadecimal hash, not the key itself")


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        raise ValueError("must be an address or a network, such as 10.0.0.0/8") from None
    return value


def _origin(value: str) -> str:
    if re.fullmatch(r"https?://[\w.:\[\]-]+", value):
        return value
    raise ValueError("must be an origin, such as https://example.org, without a path")


def _template(value: str) -> str:
    holds = set(re.findall(r"\{(.*?)\}", value))
    if unknown := holds - {"meaning", "word_kind", "character"}:
        raise ValueError(
            f"must not hold {{{min(unknown)}}}, only {{meaning}}, {{word_kind}} and {{character}}"
        )
    if "meaning" not in holds:
        raise ValueError("must hold {meaning}, in whose place comes what the picture shows")
    return value


LARGEST_SIDE = 2048
Side = Annotated[int, Field(ge=100, le=LARGEST_SIDE)]
Steps = Annotated[int, Field(ge=1, le=150)]
Guidance = Annotated[float, Field(ge=0, le=30)]
LARGEST_WEIGHT = 2.0
Weight = Annotated[float, Field(ge=0, le=LARGEST_WEIGHT)]
Number = Annotated[float, AfterValidator(_whole_if_possible)]
Fraction = Annotated[float, Field(ge=0, le=1)]
WindowFractions = Annotated[tuple[Fraction, Fraction], AfterValidator(_window)]
RateLimit = Annotated[str, AfterValidator(_rate_limit)]
KeyHash = Annotated[str, AfterValidator(_key_hash)]
Network = Annotated[str, AfterValidator(_network)]
Origin = Annotated[str, AfterValidator(_origin)]
Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]


class Slice(BaseModel):
    """A part of the settings: frozen, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SchedulerSettings(Slice):
    """A diffusers scheduler in place of the base model's, with options of its class."""

    name: str
    options: dict[str, bool | int | float | str | None] = {}


class LoRASettings(Slice):
    """A LoRA that is added to the base model with weight `scale`.

    `source` is a safetensors file, a folder, or a hub id; `weight_name` the file in it.
    """

    source: str
    weight_name: str | None = None
    scale: Annotated[float, Field(ge=-4, le=4)] = 1.0


class ModelSettings(Slice):
    """Which models: local folders, single safetensors files, or hub ids ("owner/name@revision/file").

    "embedded" is the shipped checkpoint; ControlNets that start with "./" lie inside the base
    model's folder. `controlnet_union` is one network for all kinds, in place of
    `controlnet_models`. With `shared_controlnet` the kinds share one set of weights. `base_config`
    has the configuration of a base model that is a single file. `native_sizes` are those that the
    models draw well, each either way round; without any they draw all with a short side of at least
    `least_side` pixels.
    """

    name: str
    base_model: str
    controlnet_models: dict[ConditioningKind, str] = {}
    controlnet_union: str | None = None
    shared_controlnet: bool = False
    vae: str | None = None
    variant: str | None = None
    revision: str | None = None
    base_config: str | None = None
    loras: tuple[LoRASettings, ...] = ()
    scheduler: SchedulerSettings | None = None
    native_sizes: tuple[tuple[Side, Side], ...] = ()
    least_side: Annotated[int, Field(ge=0, le=LARGEST_SIDE)] = 0


class GenerationSettings(Slice):
    """Defaults of a request; None leaves it to the preset or the style, and of presets is none.

    `deterministic` asks for the same bytes under load too, at the cost of sharing batches: each
    step then has one picture. `render_at` native draws pictures at the nearest size that the models
    draw well, and resizes them; requested draws every size as it is.
    """

    preset: str | None
    num_inference_steps: Steps | None
    guidance_scale: Guidance | None
    width: Side
    height: Side
    batch_size: Annotated[int, Field(ge=1, le=8)]
    deterministic: bool = False
    render_at: Literal["native", "requested"] = "native"


class PresetSettings(Slice):
    """How much a picture's steps leave out to be quicker; by default nothing.

    `guidance_until` and `conditioning_windows` are fractions of the steps: outside of its window a
    ControlNet does not run. Every `cache_interval` steps the networks run as a whole, the steps
    between reuse what those made in the UNet's depth.
    """

    num_inference_steps: Steps | None = None
    guidance_scale: Guidance | None = None
    guidance_until: Fraction = 1.0
    conditioning_windows: dict[ConditioningKind, WindowFractions] = {}
    cache_interval: Annotated[int, Field(ge=1, le=20)] = 1


class GPUSettings(Slice):
    """Device, number format and memory savers; None leaves it to the profile."""

    device: Annotated[str, AfterValidator(_device)]
    dtype: Literal["auto", "float32", "bfloat16", "float16"]
    memory_efficient: bool | None
    enable_attention_slicing: bool | None
    enable_vae_slicing: bool | None
    enable_vae_tiling: bool | None
    enable_cpu_offload: bool | None
    enable_sequential_cpu_offload: bool | None
    enable_xformers: bool | None
    channels_last: bool | None
    use_torch_compile: bool | None
    use_cuda_graphs: bool | None
    fuse_blocks: bool | None
    max_batch_size: Annotated[int, Field(ge=1, le=64)] | None


class ConditioningSettings(Slice):
    """Fixed methods by kind (None: by chance), and keyword numbers of single methods."""

    methods: dict[ConditioningKind, str | None]
    options: dict[str, dict[str, Number]]


class DetectorSettings(Slice):
    """Networks of the learned methods, by method: a folder, a hub id, or None to switch it off."""

    hed_edge_detection: str | None
    ai_depth_estimation: str | None
    ai_segmentation: str | None


class CompositionSettings(Slice):
    """What stands behind the word."""

    pictogram: bool


class LegibilitySettings(Slice):
    """How well the word must stand out of its picture; see `legibility/score.py`.

    A picture that scores below `min_score` is drawn again, `max_attempts` times in all at most, with its control
    weights multiplied by `weight_factor` each time. 0 lets every picture pass. `ocr` lets programs read it too.
    """

    min_score: Annotated[float, Field(ge=0, le=1)]
    max_attempts: Annotated[int, Field(ge=1, le=8)]
    weight_factor: Annotated[float, Field(gt=1, le=4)]
    ocr: bool


class PromptSettings(Slice):
    """What the prompt tells, and how long it may be.

    `max_prompt_length` is in characters. With `scene` it describes how the meaning is shown, else it only names
    it. What is longer than the text encoders read is `shortened`, or read `chunked`. Requests with one of
    `blocked_words` are refused.
    """

    max_prompt_length: Annotated[int, Field(ge=50, le=5000)]
    scene: bool = True
    long_prompts: Literal["shortened", "chunked"] = "shortened"
    blocked_words: list[str] = []


class StyleSettings(Slice):
    """One style; see conf/config/styles.yaml."""

    display_name: str
    base_template: Annotated[str, AfterValidator(_template)]
    negative_prompt: str = ""
    recommended_steps: Steps
    recommended_cfg: Guidance
    controlnet_weights: dict[ConditioningKind, Weight]
    face: FaceKind = FaceKind.SANS


class FontSettings(Slice):
    """Where the user's own fonts lie."""

    folder: str | None


class WarmupSettings(Slice):
    """Whether to draw the warm-up words at the start; the service is not ready before they are drawn."""

    at_start: bool


class MemoryLeakSettings(Slice):
    """When growing memory is a leak: MiB more than at the baseline, and MiB that each generation adds.

    The baseline is taken after `settle` generations, then memory is looked at after every `check_every`;
    None: never.
    """

    check_every: Annotated[int, Field(ge=1)] | None
    settle: Annotated[int, Field(ge=1)]
    threshold_mb: Annotated[float, Field(gt=0)]
    slope_mb: Annotated[float, Field(gt=0)]


class CacheSettings(Slice):
    """Where downloaded models are kept (None: the libraries' own default), and how much of loaded ones.

    Above `memory_gb` GiB of loaded models, the least recently used go; None keeps them all.
    """

    huggingface: str | None
    torch: str | None
    memory_gb: Annotated[float, Field(gt=0)] | None = None


class AIGenerationSettings(Slice):
    """Everything about drawing."""

    enabled: bool
    models: ModelSettings
    generation: GenerationSettings
    presets: dict[str, PresetSettings] = {}
    gpu: GPUSettings
    conditioning: ConditioningSettings
    detectors: DetectorSettings
    composition: CompositionSettings
    legibility: LegibilitySettings
    prompt: PromptSettings
    styles: dict[str, StyleSettings]
    fonts: FontSettings
    cache: CacheSettings
    warmup: WarmupSettings
    memory_leaks: MemoryLeakSettings


class RateLimitSettings(Slice):
    """What one key, or without keys one address, may ask for: "30/minute", "5/second;500/day"; None: no limit.

    `requests` counts all that are not open to everyone, `drawing` those that make the service draw (POST).
    """

    requests: RateLimit | None = None
    drawing: RateLimit | None = None


class ApiSettings(Slice):
    """Where to listen, whom to let in, and how much to take on.

    `keys` are hashes of API keys by name ("sha256:..."); plain ones come from the environment (`api/keys.py`). With
    keys, only `open_paths` are open to everyone ("/studio/*": all below). `trusted_proxies` are addresses and networks
    whose X-Forwarded-For counts, `cors_origins` the web pages of others that may ask ("https://example.org"). A
    request may ask for another deadline than `request_timeout_seconds`, up to `max_request_timeout_seconds`.
    """

    host: str
    port: Annotated[int, Field(ge=1, le=65535)]
    keys: dict[str, KeyHash] = {}
    serve_without_keys: bool = False
    open_paths: tuple[str, ...] = ()
    rate_limits: RateLimitSettings = RateLimitSettings()
    trusted_proxies: tuple[Network, ...] = ()
    cors_origins: tuple[Origin, ...] = ()
    max_body_bytes: Annotated[int, Field(ge=1024)]
    body_timeout_seconds: Annotated[float, Field(gt=0)] = 10.0
    request_timeout_seconds: Annotated[float, Field(gt=0)]
    max_request_timeout_seconds: Annotated[float, Field(gt=0)] = 600.0
    max_queue: Annotated[int, Field(ge=1)]
    shutdown_grace_seconds: Annotated[float, Field(ge=0)] = 10.0
    studio: bool = True
    """Whether there is a web page at /studio."""


class ResultCacheSettings(Slice):
    """Where finished pictures are kept; loaded models have a cache of their own, `ai_generation.cache`.

    In `folder` (None: the user's cache folder), up to `max_gb` GiB, the least recently used go first; and with the
    URL of a `redis` server there, for several hosts, with the folder for when it is gone. Entries are dropped after
    `keep_days`. Requests that name no seed share a picture only with `reuse_unseeded`.
    """

    enabled: bool
    folder: str | None
    max_gb: Annotated[float, Field(gt=0)]
    keep_days: Annotated[float, Field(gt=0)]
    redis: str | None
    reuse_unseeded: bool


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
    """One part's logger: its level (None: the general one) and what its lines tell."""

    level: Level | None = None
    include_timing: bool = True
    include_parameters: bool = True
    include_model_loading: bool = True
    include_memory_usage: bool = True


class LoggingSettings(Slice):
    """Levels and files. The keys of `loggers` are parts of the service or Python logger names.

    `format` is for people (console) or for programs (json), one line each.
    """

    level: Level
    format: Literal["console", "json"] = "console"
    folder: str | None
    file: str = "writing_service.log"
    max_bytes: Annotated[int, Field(ge=1024)]
    backups: Annotated[int, Field(ge=0)]
    loggers: dict[str, LoggerSettings]


class TracingSettings(Slice):
    """Where traces go, by OpenTelemetry's OTLP over HTTP; an `endpoint` of None: nowhere, at no cost.

    `sample` is the fraction of requests that are traced, of those that no caller has decided about.
    """

    endpoint: Annotated[str, Field(pattern="^https?://")] | None = None
    sample: Fraction = 1.0
    service_name: str = "writing-service"


class Settings(Slice):
    """The whole tree."""

    ai_generation: AIGenerationSettings
    api: ApiSettings
    jobs: JobSettings
    cache: ResultCacheSettings
    logging: LoggingSettings
    tracing: TracingSettings = TracingSettings()


def load_settings(overrides: Sequence[str] = (), folder: Path | None = None) -> Settings:
    """Compose the YAML of `folder` (None: the service's own) and check it.

    `overrides` are Hydra's: "api.port=8700", "pipeline=sdxl". Raises ConfigurationError.
    """
    folder = (folder or config_folder()).absolute()
    composed = _compose(folder, [_checked(override, folder) for override in overrides])
    try:
        return Settings.model_validate(composed)
    except ValidationError as error:
        raise ConfigurationError(_sentence(error.errors())) from None


def config_folder() -> Path:
    """The packaged folder, or the checkout's."""
    here = Path(__file__).parent
    packaged = here / "conf" / "config"
    return packaged if packaged.is_dir() else here.parent / "conf" / "config"


def _compose(folder: Path, overrides: Sequence[str]) -> Any:
    """Plain data. The libraries' errors become ours here, once."""
    try:
        with initialize_config_dir(str(folder), version_base="1.3"):
            composed = compose("default", overrides=list(overrides))
        return OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except YAMLError as error:
        raise ConfigurationError(f"The configuration is not valid YAML: {_flat(error)}.") from None
    except OmegaConfBaseException as error:
        where = f"Setting '{error.full_key}'" if error.full_key else "The configuration"
        raise ConfigurationError(f"{where} cannot be read: {_first_line(error)}.") from None
    except (HydraException, ValueError, OSError) as error:
        raise ConfigurationError(f"The configuration cannot be read: {_flat(error)}.") from None


def _checked(override: str, folder: Path) -> str:
    """The override in the form that sets any key: pydantic, which knows them all, judges later."""
    parsed = _parsed(override)
    key = parsed.key_or_group
    if parsed.is_delete():
        raise ConfigurationError(f"Setting '{key}' cannot be removed, only set: write {key}=value.")
    if parsed.is_sweep_override():
        raise ConfigurationError(f"Setting '{key}' takes one value, not several: '{override}'.")
    if key == "pipeline" and parsed.package is None:
        return f"pipeline={_known_pipeline(parsed.value(), folder)}"
    if key.split(".")[0] not in Settings.model_fields or parsed.package is not None:
        raise ConfigurationError(_unknown(override.partition("=")[0].lstrip("+").split(".")))
    return f"++{override.strip().lstrip('+')}"


def _parsed(override: str) -> Override:
    try:
        return OverridesParser.create().parse_override(override)
    except (HydraException, ValueError, RecursionError):
        message = f"'{override}' cannot be understood; write key=value, such as api.port=8700."
        raise ConfigurationError(message) from None


def _known_pipeline(name: object, folder: Path) -> str:
    known = sorted(path.stem for path in (folder / "pipeline").glob("*.yaml"))
    if name not in known:
        raise ConfigurationError(f"Unknown pipeline '{name}'; choose one of: {', '.join(known)}.")
    return str(name)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _flat(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _sentence(errors: Sequence[ErrorDetails]) -> str:
    """One of the errors, by its full key; unknown keys first, for they may be why others miss."""
    error = min(errors, key=lambda one: one["type"] != "extra_forbidden")
    path = [str(part) for part in error["loc"]]
    if path[-1] == "[key]":
        return _unknown(path[:-1])
    if error["type"] == "extra_forbidden":
        return _unknown(path)
    if error["type"] == "missing":
        return f"Setting '{'.'.join(path)}' is missing."
    what = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"Setting '{'.'.join(path)}' is wrong: it {what} (given: {error['input']!r})."


def _unknown(path: Sequence[str]) -> str:
    near = _nearest(path)
    known = _keys_at(path[:-1]) or _keys_at(())
    hint = f"did you mean '{near}'?" if near else f"known here: {', '.join(known)}."
    return f"Unknown setting '{'.'.join(path)}'; {hint}"


def _nearest(path: Sequence[str]) -> str | None:
    """A sibling like it, else the same name elsewhere, else, of a lost path, the likest key."""
    *parents, name = path
    siblings = _keys_at(parents)
    for sibling in difflib.get_close_matches(name, siblings, 1):
        return ".".join((*parents, sibling))
    everything = list(_all_keys(Settings))
    whole = ".".join(path)
    same = [key for tail in (whole, name) for key in everything if key.endswith(f".{tail}")]
    if same or (parents and siblings):
        return next(iter(same), None)
    return next(iter(difflib.get_close_matches(whole, everything, 1)), None)


def _keys_at(path: Sequence[str]) -> list[str]:
    """Names that may stand under `path`; none where it leads nowhere."""
    if not path:
        return ["pipeline", *Settings.model_fields]
    node: Any = Settings
    for part in path:
        node = dict(_children(node)).get(part) or (
            get_args(node)[1] if get_origin(node) is dict else None
        )
    return [name for name, _ in _children(node)]


def _all_keys(node: Any) -> Iterator[str]:
    for name, child in _children(node):
        yield name
        yield from (f"{name}.{key}" for key in _all_keys(child))


def _children(node: Any) -> list[tuple[str, Any]]:
    """Named parts of a slice or of a mapping by kind."""
    if isinstance(node, type) and issubclass(node, BaseModel):
        return [(name, field.annotation) for name, field in node.model_fields.items()]
    if get_origin(node) in (dict, Mapping) and get_args(node)[0] is ConditioningKind:
        return [(kind.value, get_args(node)[1]) for kind in ConditioningKind]
    return []
