"""What is told of a finished request beside its pictures: the contract's `generation_metadata`."""

from typing import Any

from writing_service.diffusion.doors import GPUWatch, PicturePipeline
from writing_service.legibility.gate import CheckedImages
from writing_service.observability.statistics import StageClock
from writing_service.settling import Settled
from writing_service.types import (
    ControlImages,
    Pictogram,
    PromptResult,
    Scene,
    WritingRequest,
)

PIXELS = "pixels"
"""What is said of characters whose strokes are in no data set."""


def generation_metadata(
    request: WritingRequest,
    settled: Settled,
    scene: Scene,
    control_images: ControlImages,
    prompt: PromptResult,
    pipeline: PicturePipeline,
    checked: CheckedImages,
    clock: StageClock,
    gpu: GPUWatch,
) -> dict[str, Any]:
    """All of it but for the time that encoding takes, ready for JSON."""
    used_gb = gpu.get_memory_usage()["used_gb"]
    drawn_size = checked.drawn.drawn_size or settled.size
    return {
        "character": request.word,
        "translation": request.translation,
        "language": scene.word.language,
        "script": scene.word.script,
        "style": settled.style.name,
        "generation_time_ms": clock.total_ms,
        "stage_times_ms": clock.times_ms,
        "seed_used": settled.seed,
        "model_used": pipeline.model_used,
        "scheduler_used": pipeline.scheduler_used,
        "controlnet_models_used": {
            kind.value: pipeline.controlnet_models_used[kind] for kind in control_images
        },
        "conditioning_methods_used": {
            kind.value: [one.method] for kind, one in control_images.items()
        },
        "detector_models_used": {
            kind.value: one.model for kind, one in control_images.items() if one.model
        },
        "conditioning_weights_used": {
            kind.value: checked.weights.get(kind, weight)
            for kind, weight in settled.weights.items()
        },
        "conditioning_windows_used": {
            kind.value: [window.start, window.end] for kind, window in settled.windows.items()
        },
        "preset_used": settled.preset,
        "num_inference_steps": settled.num_inference_steps,
        "guidance_scale": settled.guidance_scale,
        "guidance_until": settled.guidance_window.end,
        "cache_interval": settled.cache_interval,
        "width": settled.size.width,
        "height": settled.size.height,
        "drawn_width": drawn_size.width,
        "drawn_height": drawn_size.height,
        "layout": scene.layout,
        "fonts_used": list(scene.word.fonts),
        "stroke_data_used": {
            one.text: one.stroke_source or PIXELS for one in scene.word.characters
        },
        "pictogram_used": _told(scene.pictogram),
        "prompt_dropped": list(prompt.dropped),
        "gpu_memory_used_mb": None if used_gb is None else round(1024 * used_gb, 1),
        "legibility": checked.as_dict(),
    }


def _told(pictogram: Pictogram | None) -> dict[str, str | None] | None:
    if pictogram is None:
        return None
    return {
        "name": pictogram.name,
        "source": pictogram.source,
        "found_by": pictogram.found_by,
    }
