"""Comic: loud flat colours, thick ink contours with a sticker's white edge, a panel frame."""

import math
import random
from functools import lru_cache

import numpy as np

from training.art.hues import Hue, borrowed
from training.art.layers import Layers, Plane, blended, lay, sheet
from training.art.palettes import COMIC_FILLS, COMIC_GROUNDS, ComicGround, colour
from training.art.shapes import Motif, Shape, tones
from training.art.textures import moved, places, polar, smooth

INK = colour("#0d0a10")
WHITE = colour("#ffffff")
_TONES = tones(5, 0.85, 0.05, 0.98)


def paint_comic(word: Shape, motif: Motif | None, rng: random.Random) -> Layers:
    """Background, subject, word, frame."""
    ground = rng.choice(COMIC_GROUNDS)
    picture = rng.choice(_BACKGROUNDS)(word.size, ground, rng)
    fill = _fill_unlike(ground, rng)
    hues = borrowed(motif, rng)
    if motif is not None:
        _paint_subject(picture, motif)
    _paint_word(picture, word, _fill_of(*hues) if hues else fill)
    _frame(picture, word.unit)
    return picture


def _fill_unlike(ground: ComicGround, rng: random.Random) -> tuple[str, str]:
    """A word colour that is not the background's."""
    middle = colour(ground.middle)
    far = [f for f in COMIC_FILLS if np.abs(colour(f[1]) - middle).sum() > 0.7]
    return rng.choice(far)


def _fill_of(first: Hue, second: Hue) -> tuple[str, str]:
    """The subject's colours, bright enough for the black contour."""
    return first.at(88, 50), second.at(60, 85)


def _rays(size: tuple[int, int], ground: ComicGround, rng: random.Random) -> Layers:
    """Sun rays, with dots growing towards the corners."""
    reach, angle = polar(size, 0, -0.06)
    count = rng.choice((9, 11, 13))
    beams = np.clip(np.sin(angle * count + rng.uniform(0, 6)) * reach * (300 / count) + 0.5, 0, 1)
    picture = sheet(size, colour(ground.light))
    lay(picture, colour(ground.middle), beams)
    lay(picture, colour(ground.dark), _dots(size, smooth(reach, 0.4, 1.0) * 0.55, 32))
    return picture


def _halftone(size: tuple[int, int], ground: ComicGround, rng: random.Random) -> Layers:
    """Two tones meeting in a field of growing dots."""
    across, down = places(size)
    turn = rng.uniform(-0.7, 0.7) + (math.pi if rng.random() < 0.5 else 0)
    along = across * math.sin(turn) + down * math.cos(turn)
    picture = sheet(size, colour(ground.light))
    lay(picture, colour(ground.middle), _dots(size, smooth(along, -0.45, 0.55), 34))
    lay(picture, colour(ground.dark), _dots(size, smooth(along, 0.05, 0.9) * 0.8, 34))
    return picture


def _speed_lines(size: tuple[int, int], ground: ComicGround, rng: random.Random) -> Layers:
    """Wedges of uneven width rushing towards the middle."""
    reach, angle = polar(size, 0, -0.06)
    first, second, third = (rng.uniform(0, 6) for _ in range(3))
    wave = np.sin(angle * 17 + first) + 0.8 * np.sin(angle * 29 + second) - 0.5
    start = 0.4 + 0.05 * np.sin(angle * 7 + third)
    wedges = np.clip((wave * 0.05 + (reach - start) * 0.11) * reach * 220, 0, 1)
    picture = sheet(size, colour(ground.light))
    lay(picture, WHITE, smooth(reach, 0.62, 0.1) * 0.75)
    lay(picture, colour(ground.dark), wedges * smooth(reach, 0.34, 0.42))
    return picture


def _burst(size: tuple[int, int], ground: ComicGround, rng: random.Random) -> Layers:
    """A jagged star on diagonal stripes."""
    across, down = places(size)
    slope = rng.choice((-1, 1))
    pitch = rng.uniform(0.13, 0.2)
    stripes = np.clip(np.sin((across + down * slope) * (2 * math.pi / pitch)) * 20 + 0.5, 0, 1)
    picture = sheet(size, colour(ground.middle))
    lay(picture, colour(ground.dark), stripes * 0.45)
    reach, angle = polar(size, 0, -0.04)
    phase = rng.uniform(0, 1)
    teeth = np.abs((angle * (rng.choice((12, 14, 16)) / (2 * math.pi)) + phase) % 1 - 0.5) * 2
    star = reach - (0.40 + teeth * 0.16)
    lay(picture, INK, np.clip(0.5 - (star - 0.022) * 300, 0, 1))
    lay(picture, WHITE, np.clip(0.5 - (star - 0.006) * 300, 0, 1))
    lay(picture, colour(ground.light), np.clip(0.5 - (star + 0.022) * 300, 0, 1))
    return picture


def _big_shapes(size: tuple[int, int], ground: ComicGround, rng: random.Random) -> Layers:
    """Flat rings and a hill of colour."""
    reach, _ = polar(size, rng.uniform(-0.15, 0.15), rng.uniform(-0.2, 0))
    picture = sheet(size, colour(ground.middle))
    lay(picture, colour(ground.dark), np.clip((reach - 0.62) * 300, 0, 1) * 0.5)
    lay(picture, colour(ground.light), np.clip((0.48 - reach) * 300, 0, 1))
    lay(picture, WHITE, np.clip((0.36 - reach) * 300, 0, 1) * 0.55)
    across, down = places(size)
    hill = down - 0.3 + (across - rng.uniform(-0.3, 0.3)) ** 2 * 0.35
    lay(picture, colour(ground.dark), np.clip(hill * 300, 0, 1))
    lay(picture, colour(ground.middle), _dots(size, smooth(hill, 0.02, 0.3) * 0.5, 32))
    return picture


_BACKGROUNDS = (_rays, _halftone, _speed_lines, _burst, _big_shapes)


def _dots(size: tuple[int, int], amount: Plane, pitch: float) -> Plane:
    """A screen of dots `pitch` units apart, turned by 45°; `amount` 0..1 is their size.

    Dots that would be too small for the model's coarse latents are left out.
    """
    kept = amount * np.clip((amount - 0.07) * 25, 0, 1)
    return np.clip((_screen(size, pitch) + (kept - 1)) * 7, 0, 1)


@lru_cache(maxsize=16)
def _screen(size: tuple[int, int], pitch: float) -> Plane:
    """What the dots' size is cut from, 0..1; drawn once per canvas, read only."""
    across, down = places(size)
    turn = 2 * math.pi * 512 / pitch / math.sqrt(2)
    screen = (np.cos((across + down) * turn) + np.cos((across - down) * turn)) * 0.25 + 0.5
    screen.flags.writeable = False
    return screen


def _paint_subject(picture: Layers, motif: Motif) -> None:
    """Posterised colours in a thick contour with a white edge."""
    unit = motif.shape.unit
    lay(picture, WHITE, motif.shape.grown(13 * unit))
    lay(picture, INK, motif.shape.grown(6 * unit))
    flat = motif.flattened()
    lay(picture, flat.regraded(_TONES[flat.stretch(0.15)], 1.25).colours, motif.shape.cover)
    lay(picture, INK, motif.drawn_lines(0.2) * 0.9)


def _paint_word(picture: Layers, word: Shape, fill: tuple[str, str]) -> None:
    """White edge, drop shadow, black contour, a bright gradient, a highlight."""
    unit, line = word.unit, word.stroke(0.5, 2.5, 8)
    depth = word.stroke(0.65, 3, 6)
    drop = moved(word.grown(line), depth, depth + unit)
    contour = np.maximum(word.grown(line), drop)
    lay(picture, WHITE, np.maximum(word.grown(line + 4 * unit), moved(drop, unit * 2, unit * 2)))
    lay(picture, INK, contour)
    top, bottom = colour(fill[0]), colour(fill[1])
    lay(picture, blended(top, bottom, smooth(word.rows, 0.1, 0.9)), word.cover)
    core = np.clip(word.inside - 1.5 * unit, 0, 1)
    bevel = word.stroke(0.22, 1, 3.5)
    strength = float(np.clip(word.half / (10 * unit), 0.35, 0.85))
    lay(picture, WHITE, np.clip(core - moved(core, bevel, bevel), 0, 1) * strength)
    glow = np.clip(core - moved(core, -bevel * 1.3, -bevel * 1.3), 0, 1)
    lay(picture, bottom * np.float32(0.72), glow * 0.55)


def _frame(picture: Layers, unit: float) -> None:
    """A white gutter around a black line."""
    for inset, paint in ((0.0, WHITE), (8.0, INK)):
        _border(picture, round(inset * unit), round((8 if inset == 0 else 7) * unit), paint)


def _border(picture: Layers, inset: int, width: int, paint: Layers) -> None:
    """A rectangle's outline, its outer edge `inset` pixels from the canvas's."""
    _, height, across = picture.shape
    inner = inset + max(width, 1)
    band = np.zeros((height, across), np.float32)
    band[inset : height - inset, inset : across - inset] = 1
    band[inner : height - inner, inner : across - inner] = 0
    lay(picture, paint, band)
