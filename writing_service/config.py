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
    """A part of the settings: frozen, and strict about its keys.

    docs/configuration.md is made from the texts under classes and fields (scripts/configuration_doc.py).
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class SchedulerSettings(Slice):
    """A scheduler in place of the base model's own."""

    name: str
    """One of diffusers', such as `EulerDiscreteScheduler`."""
    options: dict[str, bool | int | float | str | None] = {}
    """Of its class: `{timestep_spacing: trailing}`."""


class LoRASettings(Slice):
    """A LoRA: added to the model's weights when they are loaded, in the order of the list."""

    source: str
    """A safetensors file, a folder, or a hub id."""
    weight_name: str | None = None
    """The file in the folder or repository; `null` is `pytorch_lora_weights.safetensors`."""
    scale: Annotated[float, Field(ge=-4, le=4)] = 1.0
    """How much of it."""


class ModelSettings(Slice):
    """Which models: [models.md](models.md#models-of-your-own) says what a *source* may be, and how they are loaded.

    `writing-service doctor` with the same settings tells before the start what is there.
    """

    name: str
    """What the status calls them."""
    base_model: str
    """An SDXL model: a source. `embedded` is the shipped checkpoint."""
    controlnet_models: dict[ConditioningKind, str] = {}
    """A source for each kind. One that begins with `./` lies inside the base model's folder."""
    controlnet_union: str | None = None
    """A source of one network for all kinds, in place of those."""
    shared_controlnet: bool = False
    """The kinds share one set of weights."""
    vae: str | None = None
    """A source of a VAE in place of the model's own."""
    variant: str | None = None
    """Such as `fp16`: files of that name are taken where there are some, else the plain ones."""
    revision: str | None = None
    """Of `base_model` on the hub."""
    base_config: str | None = None
    """Where `base_model` is a single file: a folder or hub id with its configuration. `null`: what lies beside the
    file, else that of SDXL on the hub."""
    loras: tuple[LoRASettings, ...] = ()
    """LoRAs to add: `[{source: ..., scale: 0.8}, ...]`."""
    scheduler: SchedulerSettings | None = None
    """`{name: ..., options: {...}}`; `null` is the model's own."""
    native_sizes: tuple[tuple[Side, Side], ...] = ()
    """Sizes that the models draw well, each either way round."""
    least_side: Annotated[int, Field(ge=0, le=LARGEST_SIDE)] = 0
    """Without `native_sizes` they draw all sizes well whose short side has at least so many pixels."""


class GenerationSettings(Slice):
    """What a request takes that does not say; `null` leaves it to the preset, else to the style."""

    preset: str | None
    """One of `ai_generation.presets`; `null` leaves no part of a step out."""
    num_inference_steps: Steps | None
    """Steps of a picture."""
    guidance_scale: Guidance | None
    """How closely the text is followed; 0 and 1 are without guidance."""
    width: Side
    """Pixels."""
    height: Side
    """Pixels."""
    batch_size: Annotated[int, Field(ge=1, le=8)]
    """Pictures of a request."""
    deterministic: bool = False
    """The same bytes under load too, at the cost of sharing steps: each then has one picture."""
    render_at: Literal["native", "requested"] = "native"
    """`native` draws at the nearest size that the models draw well, and resizes; `requested` draws each as it is."""


class PresetSettings(Slice):
    """How much a picture's steps leave out to be quicker. A request names one (`"preset": "fast"`).

    Every pipeline has `quality`, `balanced` and `fast` of its own; a new name is one more. What they cost the embedded
    checkpoint is in [models.md](models.md), what they save on a GPU in [performance.md](performance.md).
    """

    num_inference_steps: Steps | None = None
    """In place of the configuration's and the style's; a request's own goes before."""
    guidance_scale: Guidance | None = None
    """The same for guidance."""
    guidance_until: Fraction = 1.0
    """The fraction of the steps in which guidance works; after it a step takes half as long."""
    conditioning_windows: dict[ConditioningKind, WindowFractions] = {}
    """`{depth: [0, 0.5]}`: the fractions between which a ControlNet works; a request may give its own by kind."""
    cache_interval: Annotated[int, Field(ge=1, le=20)] = 1
    """Every so many steps the networks run as a whole; those between reuse what the UNet found in its depth, and run no
    ControlNet."""


class GPUSettings(Slice):
    """Device, number format and memory savers. `null` leaves a switch to the profile.

    [operations.md](operations.md#profiles-and-memory) tells the profile with its arithmetic. `/health/detailed` says
    which switches took effect (`applied`) and why others did not (`not_applied`).
    """

    device: Annotated[str, AfterValidator(_device)]
    """`auto` (the GPU with the most free memory, else the CPU), `cpu`, `cuda` or `cuda:1`."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"]
    """Number format; `auto` is the fastest that the device knows."""
    memory_efficient: bool | None
    """Gives cached memory back after each picture; costs some milliseconds a picture."""
    enable_attention_slicing: bool | None
    """Attention in slices: slower, and no smaller than torch's fused attention, which it replaces. No profile has it
    on."""
    enable_vae_slicing: bool | None
    """Pictures that end together are decoded one by one; costs some hundredths of a second each."""
    enable_vae_tiling: bool | None
    """Pictures beyond 1024² are decoded in blended tiles; costs about a third of the decoding time there."""
    enable_cpu_offload: bool | None
    """Models wait in main memory for their turn; costs one to several seconds a picture."""
    enable_sequential_cpu_offload: bool | None
    """Layers do; many times slower."""
    enable_xformers: bool | None
    """xformers' attention, on CUDA, where it works; no faster on present cards."""
    channels_last: bool | None
    """Memory layout for convolutions; costs nothing."""
    use_torch_compile: bool | None
    """Compiles the transformer blocks for a fixed set of batch sizes; loading takes seconds to minutes longer."""
    use_cuda_graphs: bool | None
    """Records the networks' passes and replays them; the first batch of each form waits for its recording, which keeps
    memory."""
    fuse_blocks: bool | None
    """Runs residual blocks and group norms by kernels of our own, which need triton (it comes with torch for CUDA);
    rounds a little otherwise."""
    max_batch_size: Annotated[int, Field(ge=1, le=64)] | None
    """Pictures of 1024² that share a step; of smaller ones more do."""


class ConditioningSettings(Slice):
    """How control images are made."""

    methods: dict[ConditioningKind, str | None]
    """A fixed method for each kind ([conditioning.md](conditioning.md) shows them); `null` lets the seed choose."""
    options: dict[str, dict[str, Number]]
    """Numbers of single methods: `{opencv_canny: {low: 30, high: 120}}`."""


class DetectorSettings(Slice):
    """Networks of the learned conditioning methods: each a folder, a hub id, or `null`, which switches it off.

    Their weights are not part of the service and are never fetched during a request;
    [models.md](models.md#networks-of-the-learned-methods) tells how to get them.
    """

    hed_edge_detection: str | None
    """For canny: a `ControlNetHED.pth`; also needs `pip install 'writing-service[gpu]'`."""
    ai_depth_estimation: str | None
    """For depth: any MiDaS DPT or Depth Anything in transformers' form, such as
    `depth-anything/Depth-Anything-V2-Small-hf`."""
    ai_segmentation: str | None
    """For segmentation: any SAM (the first one, not SAM 2) in transformers' form."""


class CompositionSettings(Slice):
    """What stands behind the word."""

    pictogram: bool
    """Put a pictogram of the meaning into the control images, where a request leaves it `auto`."""


class LegibilitySettings(Slice):
    """How well the word must stand out of its picture, from 0.5 (invisible) to 1 (perfect).

    [legibility.md](legibility.md) says how it is scored, and where the threshold comes from.
    """

    min_score: Annotated[float, Field(ge=0, le=1)]
    """A picture below it is drawn again; 0 lets every picture pass."""
    max_attempts: Annotated[int, Field(ge=1, le=8)]
    """Pictures drawn for one, the first included."""
    weight_factor: Annotated[float, Field(gt=1, le=4)]
    """The control weights are multiplied by it for each further attempt, up to 2; weights of 0 stay 0."""
    ocr: bool
    """Also let programs read the word and tell what they read: `pip install 'writing-service[ocr]'`, and for scripts
    other than Han, kana and Latin tesseract with its data; adds 0.1 to 10 s to a picture."""


class PromptSettings(Slice):
    """What the prompt tells, and how long it may be.

    Which scene stands for what cannot be seen, and what radicals show, is data as well:
    `writing_service/prompt/semantic_data/metaphors.yaml` and `radicals.yaml`.
    """

    max_prompt_length: Annotated[int, Field(ge=50, le=5000)]
    """Characters, whatever the tokenizers allow."""
    scene: bool = True
    """Describe how the meaning is shown ("someone swimming"), with the word's radicals as a detail; else only name
    it."""
    long_prompts: Literal["shortened", "chunked"] = "shortened"
    """`shortened` to the 77 tokens that the text encoders read at once, or `chunked`: read in up to four parts, at the
    price of slower steps."""
    blocked_words: list[str] = []
    """Words or phrases; a request that holds one in word, translation, hint or style, or whose word means one, is
    answered 422. On the command line quote what is not ASCII: `"ai_generation.prompt.blocked_words=[gore,'血']"`."""


class StyleSettings(Slice):
    """A style, in `styles.yaml`: add one there and it is served.

    Any other text that a request sends as its style is used as a phrase, with a warning.
    """

    display_name: str
    """For people."""
    base_template: Annotated[str, AfterValidator(_template)]
    """The prompt: phrases between commas. `{meaning}` must be in it, `{word_kind}` and `{character}` may."""
    negative_prompt: str = ""
    """What guidance leads away from."""
    recommended_steps: Steps
    """Of a picture, where neither request, preset nor configuration says."""
    recommended_cfg: Guidance
    """The same for guidance."""
    controlnet_weights: dict[ConditioningKind, Weight]
    """How strongly each control image holds the picture; 0 switches that ControlNet off."""
    face: FaceKind = FaceKind.SANS
    """The kind of type face; a script without one is drawn in sans."""


class FontSettings(Slice):
    """Fonts beside those that come with the service, and the system's, which come last."""

    folder: str | None
    """A folder of your own fonts, asked first."""


class WarmupSettings(Slice):
    """The first pictures after a start."""

    at_start: bool
    """Draw the warm-up words when the service starts; `/health` answers meanwhile, `/health/ready` says not_ready."""


class MemoryLeakSettings(Slice):
    """When growing memory is a leak. The log warns once; `service_status.memory_leak` of `/health/detailed` tells."""

    check_every: Annotated[int, Field(ge=1)] | None
    """Generations from one look at memory to the next; `null`: never."""
    settle: Annotated[int, Field(ge=1)]
    """Generations before the first look, the baseline: until then models load and caches fill."""
    threshold_mb: Annotated[float, Field(gt=0)]
    """MiB above the baseline from which growth is a leak, if it goes on."""
    slope_mb: Annotated[float, Field(gt=0)]
    """MiB that each generation must still add for that."""


class CacheSettings(Slice):
    """Where downloaded models are kept, and how much of loaded ones.

    `HF_HOME`, `HF_TOKEN`, `HF_ENDPOINT`, `HF_HUB_OFFLINE` and `TORCH_HOME` are respected. Folders that are named are
    made at the start.
    """

    huggingface: str | None
    """A folder; `null` is the library's own default, or `HF_HOME`."""
    torch: str | None
    """A folder; `null` is torch's own default, or `TORCH_HOME`."""
    memory_gb: Annotated[float, Field(gt=0)] | None = None
    """GiB of pipelines and learned methods that stay loaded; above it the least recently used go, and are loaded again
    when they are asked for. `null` keeps them all."""


class AIGenerationSettings(Slice):
    """Everything about drawing."""

    enabled: bool
    """`false` answers every request for a picture 503."""
    models: ModelSettings
    generation: GenerationSettings
    presets: dict[str, PresetSettings] = {}
    """What a request may name as its preset."""
    gpu: GPUSettings
    conditioning: ConditioningSettings
    detectors: DetectorSettings
    composition: CompositionSettings
    legibility: LegibilitySettings
    prompt: PromptSettings
    styles: dict[str, StyleSettings]
    """What a request may name as its style, in `styles.yaml`."""
    fonts: FontSettings
    cache: CacheSettings
    warmup: WarmupSettings
    memory_leaks: MemoryLeakSettings


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


def known_keys() -> list[str]:
    """Every key that an override may set, parents before their children."""
    return ["pipeline", *_all_keys(Settings)]


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
