"""`ai_generation`: everything about drawing."""

from typing import Annotated, Literal

from pydantic import Field

from writing_service.config.values import (
    LARGEST_SIDE,
    DeviceName,
    Fraction,
    Guidance,
    Number,
    Side,
    Slice,
    Steps,
    Template,
    Weight,
    WindowFractions,
)
from writing_service.types import ConditioningKind, FaceKind


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

    device: DeviceName
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
    """Runs residual blocks and group norms by kernels of our own, which need triton (it comes with torch for CUDA), and
    attention by fewer products; rounds a little otherwise."""
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
    base_template: Template
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
