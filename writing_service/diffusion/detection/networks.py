"""How the learned conditioning methods see a word: HED's edges, MiDaS' depth, SAM's parts.

Each `load_*` reads a network from a folder and tells how to draw with it. The networks see
the word as it is printed, black on white.
"""

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn.functional import interpolate

from writing_service.errors import GenerationFailed
from writing_service.types import Mask, Pixels, RenderedWord

Draw = Callable[[RenderedWord], Image.Image]
"""The word's picture, of its size. Runs under `torch.inference_mode`."""


class Reader(NamedTuple):
    """How to draw with a network, and what it consists of."""

    draw: Draw
    networks: Sequence[torch.nn.Module] = ()


Load = Callable[[Path, torch.device, torch.dtype], Reader]
"""A network from a folder onto a device, in a number format. Raises whatever the libraries raise."""

Palette = Sequence[tuple[int, int, int]]
"""RGB: the background, then one or more colours for parts of the word."""

Point = tuple[int, int]
"""x, y in pixels."""

MOST_PARTS = 16
"""So many parts of a word, the largest, are asked of SAM; the rest keep the word's first colour."""

FLAT = 1e-4
"""A depth map whose range is this small a part of its values is flat: the rest is rounding."""

MIDDLE_GREY = 127
"""What a flat map becomes: neither near nor far."""

_HED_LONGEST = 1024
"""HED looks at pictures whose shorter side is at most this, which bounds its memory."""

_INK = 127
_MOST_ABSENT = 0.1
_NEAREST_METRES = 1e-3


def load_edges(folder: Path, device: torch.device, dtype: torch.dtype) -> Reader:
    """controlnet-aux's HED, an Apache-licensed rework of Xie and Tu's "Holistically-nested edge
    detection" (2015). It computes in float32 whatever `dtype` says, for so its class feeds it.

    Its file is a pickle, which torch reads with its restricted reader: tensors only, no code.
    """
    try:
        package: Any = import_module("controlnet_aux")
    except (ImportError, RuntimeError) as error:
        # RuntimeError: a torchvision that was built for another torch.
        raise ImportError(f"controlnet-aux: {error}") from error
    detector = package.HEDdetector.from_pretrained(str(folder)).to(device)
    return Reader(partial(_edges, detector), [detector.netNetwork])


def load_depth(folder: Path, device: torch.device, dtype: torch.dtype) -> Reader:
    """MiDaS' DPT (Ranftl et al., "Vision transformers for dense prediction", 2021) or Depth Anything."""
    from transformers import AutoModelForDepthEstimation, DPTImageProcessorPil

    processor = DPTImageProcessorPil.from_pretrained(folder)
    network = _network(AutoModelForDepthEstimation, folder, device, dtype)
    return Reader(partial(_depth, network, processor), [network])


def load_parts(
    folder: Path, device: torch.device, dtype: torch.dtype, *, palette: Palette
) -> Reader:
    """SAM (Kirillov et al., "Segment anything", 2023)."""
    from transformers import SamImageProcessorPil, SamModel, SamProcessor

    processor = SamProcessor(SamImageProcessorPil.from_pretrained(folder))
    colours = np.array(palette, np.uint8)
    network = _network(SamModel, folder, device, dtype)
    return Reader(partial(_parts, network, processor, colours), [network])


def thickest_points(solid: Mask) -> list[Point]:
    """Of each connected part of the ink, where it is thickest: at most MOST_PARTS, the largest first.

    `solid` is (height, width) uint8, 1 on ink and else 0.
    """
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    depth = np.asarray(cv2.distanceTransform(solid, cv2.DIST_L2, 5))
    areas = np.asarray(statistics)[1:, cv2.CC_STAT_AREA]
    largest = np.argsort(-areas, kind="stable")[:MOST_PARTS] + 1
    return [_deepest(np.where(np.asarray(labels) == number, depth, -1)) for number in largest]


def part_classes(solid: Mask, claims: NDArray[np.bool_], colours: int) -> Mask:
    """0 where there is no ink, else 1 to `colours`: the number of the mask that claims it, in turn.

    `claims` is (masks, height, width). Where masks overlap, the one with less ink wins; ink that none
    claims is of class 1.
    """
    classes = solid.copy()
    parts = claims & (solid > 0)
    for number in np.argsort(-parts.sum((1, 2)), kind="stable"):
        classes[parts[number]] = 1 + number % colours
    return classes


def grey_levels(near: NDArray[np.float32]) -> Mask:
    """Any range → 0 to 255; a flat map is MIDDLE_GREY. Raises GenerationFailed where numbers overflowed."""
    low, high = float(near.min()), float(near.max())
    if not np.isfinite([low, high]).all():
        raise GenerationFailed(
            "The depth network's numbers overflowed; set ai_generation.gpu.dtype=float32."
        )
    if high - low <= FLAT * max(abs(low), abs(high)):
        return np.full(near.shape, MIDDLE_GREY, np.uint8)
    return np.rint((near - low) * (255 / (high - low))).astype(np.uint8)


def _edges(detector: Any, glyph: RenderedWord) -> Image.Image:
    """White lines on black, mode L."""
    size = (glyph.size.width, glyph.size.height)
    shorter = min(*size, _HED_LONGEST)
    lines = detector(glyph.image, detect_resolution=shorter, image_resolution=shorter)
    # HED works on multiples of 64.
    return lines.convert("L").resize(size, Image.Resampling.BILINEAR)


def _depth(network: Any, processor: Any, glyph: RenderedWord) -> Image.Image:
    """Near is white, mode L.

    The networks see a square, for which alone some are made, with the paper carried on at the sides.
    """
    width, height = glyph.size.width, glyph.size.height
    side = max(width, height)
    left, top = (side - width) // 2, (side - height) // 2
    square = Image.new("RGB", (side, side), "white")
    square.paste(glyph.image, (left, top))
    seen = processor(square, return_tensors="pt")["pixel_values"]
    found = network(seen.to(network.device, network.dtype)).predicted_depth.float()
    whole = interpolate(found[:, None], (side, side), mode="bicubic", align_corners=False)[0, 0]
    word = _nearness(whole[top : top + height, left : left + width], network.config)
    return Image.fromarray(grey_levels(word.cpu().numpy()))


def _nearness(depth: torch.Tensor, config: Any) -> torch.Tensor:
    """Most networks tell nearness, in no unit; metric ones tell the distance in metres."""
    metric = getattr(config, "depth_estimation_type", "relative") == "metric"
    return 1 / depth.clamp(min=_NEAREST_METRES) if metric else depth


def _parts(
    network: Any, processor: Any, colours: NDArray[np.uint8], glyph: RenderedWord
) -> Image.Image:
    """Each part of the word in its colour, mode RGB."""
    solid = (glyph.mask > _INK).astype(np.uint8)
    classes = solid
    if points := thickest_points(solid):
        claims = _masks(network, processor, glyph.image, points)
        classes = part_classes(solid, claims, len(colours) - 1)
    painted: Pixels = colours[classes]
    return Image.fromarray(painted)


def _masks(
    network: Any, processor: Any, picture: Image.Image, points: Sequence[Point]
) -> NDArray[np.bool_]:
    """(points, height, width): of the three masks that SAM offers for a point, the one it trusts most."""
    prompts = [[[list(point)] for point in points]]
    seen = processor(images=picture, input_points=prompts, return_tensors="pt")
    found = network(
        pixel_values=seen["pixel_values"].to(network.device, network.dtype),
        input_points=seen["input_points"].to(network.device, torch.float32),
    )
    best = found.iou_scores[0].argmax(-1)
    chosen = found.pred_masks[0][torch.arange(len(points), device=best.device), best]
    (masks,) = processor.image_processor.post_process_masks(
        [chosen[:, None].float().cpu()], seen["original_sizes"], seen["reshaped_input_sizes"]
    )
    return masks[:, 0].numpy()


def _network(kind: Any, folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """Ready to run. Raises ValueError where the weights are another network's.

    Loaded in float32 and changed afterwards: to load in another format, transformers changes torch's
    default for the whole process, in which a picture may just be drawn.
    """
    network, told = kind.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
    )
    # A few are always absent: MiDaS is published without a layer that it never uses.
    if len(told["missing_keys"]) > _MOST_ABSENT * len(network.state_dict()):
        raise ValueError(f"{folder} has the weights of another network")
    return network.to(device, dtype).eval()


def _deepest(depth: NDArray[np.float32]) -> Point:
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(column), int(row)
