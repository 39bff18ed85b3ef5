"""Traditional: patterned paper, a lacquer frame with gold, a disc, the subject in flat gouache."""

import random
from functools import lru_cache

import cv2
import numpy as np

from training.art.hues import Hue, borrowed
from training.art.layers import Layers, Plane, blended, lay, shade, sheet
from training.art.palettes import FOLK_WORDS, LACQUERS, FolkWord, Lacquer, colour
from training.art.shapes import Motif, Shape, tones
from training.art.textures import VARIANTS, blur, disc, grain, noise, places, smooth

_TONES = tones(4, 0.75, 0.1, 0.97)


def paint_traditional(word: Shape, motif: Motif | None, rng: random.Random) -> Layers:
    """Paper and pattern, disc, subject, word, frame."""
    lacquer, paint = rng.choice(LACQUERS), rng.choice(FOLK_WORDS)
    pattern, variant = rng.choice(tuple(_PATTERNS)), rng.randrange(VARIANTS)
    picture = sheet(word.size, colour(lacquer.paper))
    lay(picture, colour(lacquer.pattern), _pattern(pattern, word.size) * 0.8)
    _hang_disc(picture, lacquer, word.size, rng)
    hues = borrowed(motif, rng)
    if motif is not None:
        _paint_subject(picture, motif, lacquer, variant)
    _paint_word(picture, word, _folk_word(*hues) if hues else paint)
    shade(
        picture, (0.97 + 0.06 * noise(word.size, 5, variant, 3)) * grain(word.size, variant, 0.01)
    )
    _frame(picture, lacquer, word.unit)
    return picture


def _folk_word(first: Hue, second: Hue) -> FolkWord:
    """The subject's colours as body colour on a ring of cream."""
    return FolkWord(first.at(40, 60), second.at(30, 50), first.at(14, 25), "#fdf4dc")


def _waves(size: tuple[int, int]) -> Plane:
    """Seigaiha: rows of fans, each over the one behind it."""
    across, down = places(size)
    pitch = 0.15
    picture = np.zeros(size, np.float32)
    first, last = int(down.min() / pitch * 4) - 3, int(down.max() / pitch * 4) + 4
    for row in range(first, last):
        y = row * pitch / 4
        x = (across + (row % 2) * pitch / 2) % pitch - pitch / 2
        reach = cv2.magnitude(np.ascontiguousarray(x), np.ascontiguousarray(down - y))
        fan = np.clip((pitch / 2 - reach) * 512 + 0.5, 0, 1)
        rings = np.clip(np.cos(reach * (2 * np.pi * 3 / (pitch / 2))) * 2.2 + 0.3, 0, 1)
        picture += (rings - picture) * fan
    return picture


def _lattice(size: tuple[int, int]) -> Plane:
    """A window's bars: squares with smaller squares between them."""
    across, down = places(size)
    pitch = 0.16
    x, y = np.abs(across % pitch - pitch / 2), np.abs(down % pitch - pitch / 2)
    outer = np.abs(np.maximum(x, y) - pitch * 0.36)
    cross = np.where(np.maximum(x, y) > pitch * 0.36, np.minimum(x, y), 1)
    return np.clip((0.006 - np.minimum(outer, cross)) * 400 + 0.5, 0, 1)


def _coins(size: tuple[int, int]) -> Plane:
    """Shippo: circles that overlap in petals."""
    across, down = places(size)
    pitch = 0.16
    lines = np.zeros(size, np.float32)
    for shift_x, shift_y in ((0, 0), (0.5, 0.5)):
        x = (across + shift_x * pitch) % pitch - pitch / 2
        y = (down + shift_y * pitch) % pitch - pitch / 2
        for centre_x in (-1, 0, 1):
            for centre_y in (-1, 0, 1):
                reach = np.hypot(x - centre_x * pitch, y - centre_y * pitch)
                line = np.clip((0.006 - np.abs(reach - pitch / 2)) * 400 + 0.5, 0, 1)
                lines = np.maximum(lines, line)
    return lines


def _clouds(size: tuple[int, int]) -> Plane:
    """Lucky clouds: rows of scrolls with long tails."""
    across, down = places(size)
    picture = np.zeros(size, np.float32)
    pitch_x, pitch_y = 0.34, 0.17
    for row in range(int(down.min() / pitch_y) - 2, int(down.max() / pitch_y) + 3):
        x = (across + (row % 2) * pitch_x / 2) % pitch_x - pitch_x / 2
        y = down - row * pitch_y
        tail = np.maximum(np.abs(y - 0.03) - 0.016, np.abs(x) - 0.135)
        field = tail
        for centre, height, radius in (
            (-0.05, 0.0, 0.042),
            (0.025, -0.018, 0.055),
            (0.085, 0.01, 0.036),
        ):
            field = np.minimum(field, np.hypot(x - centre, y - height) - radius)
        body = np.clip(-field * 500 + 0.5, 0, 1)
        lines = np.clip(
            (0.006 - np.abs((np.abs(field + 0.006) + 0.014) % 0.028 - 0.014)) * 400 + 0.5, 0, 1
        )
        picture += (lines - picture) * body
    return picture


def _diamonds(size: tuple[int, int]) -> Plane:
    """Brocade: nested diamonds with a bud in each."""
    across, down = places(size)
    pitch = 0.18
    x, y = np.abs(across % pitch - pitch / 2), np.abs(down % pitch - pitch / 2)
    field = (x + y) / pitch
    lines = np.minimum(np.abs(field - 0.5), np.abs(field - 0.28))
    bud = np.maximum((0.11 - field) * 60, ((field - 0.92) * 60))
    return np.clip(np.maximum((0.046 - lines) * 70 + 0.5, bud), 0, 1)


_PATTERNS = {
    "waves": _waves,
    "lattice": _lattice,
    "coins": _coins,
    "clouds": _clouds,
    "diamonds": _diamonds,
}


@lru_cache(maxsize=32)
def _pattern(name: str, size: tuple[int, int]) -> Plane:
    """Drawn once per canvas; read only."""
    drawn = cv2.GaussianBlur(_PATTERNS[name](size).astype(np.float32), (0, 0), 0.7)
    drawn.flags.writeable = False
    return drawn


def _hang_disc(
    picture: Layers, lacquer: Lacquer, size: tuple[int, int], rng: random.Random
) -> None:
    """A sun or moon edged with gold, a little off the middle."""
    x, y, radius = rng.uniform(-0.06, 0.06), rng.uniform(-0.09, -0.02), rng.uniform(0.33, 0.39)
    lay(picture, colour(lacquer.gold), disc(size, x, y, radius + 0.016, 0.004))
    lay(picture, colour(lacquer.paper), disc(size, x, y, radius + 0.006, 0.004))
    lay(picture, colour(lacquer.disc), disc(size, x, y, radius, 0.004))


def _paint_subject(picture: Layers, motif: Motif, lacquer: Lacquer, variant: int) -> None:
    """Flat muted steps of body colour, warmed, within a dark line of one width."""
    shape, unit = motif.shape, motif.shape.unit
    lay(picture, colour(lacquer.outline), blur(shape.grown(3.4 * unit), 0.6 * unit))
    paint = motif.flattened().regraded(_TONES, 0.82).colours
    paint = paint * colour("#fdf0d2")[:, None, None]
    lay(picture, paint, shape.cover)
    brushed = smooth(noise(shape.size, 9, variant + 1, 3), 0.35, 0.75)
    lay(picture, colour(lacquer.disc), brushed * shape.cover * 0.1)
    lay(picture, colour(lacquer.outline), motif.drawn_lines(0.14) * 0.9)


def _paint_word(picture: Layers, word: Shape, paint: FolkWord) -> None:
    """Ring, contour, body."""
    unit, line = word.unit, word.stroke(0.12, 0.7, 1.6)
    lay(picture, colour(paint.ring), word.grown(line + word.stroke(0.7, 6, 9), softness=2 * unit))
    lay(picture, colour(paint.contour), word.grown(line))
    lay(picture, blended(colour(paint.upper), colour(paint.lower), word.rows), word.cover)


def _frame(picture: Layers, lacquer: Lacquer, unit: float) -> None:
    """Lacquer with two gold lines, and stepped corners."""
    lacquered, gold = colour(lacquer.frame), colour(lacquer.gold)
    edge = _from_edge((picture.shape[1], picture.shape[2])) / unit
    stepped = _cut_corners(edge, picture.shape[1:], unit)
    lay(picture, lacquered, np.clip(25.5 - stepped, 0, 1))
    for middle, half in ((24.0, 3.0), (8.0, 2.8)):
        lay(picture, gold, np.clip((half - np.abs(stepped - middle)) * unit + 0.5, 0, 1))


@lru_cache(maxsize=8)
def _from_edge(size: tuple[int, int]) -> Plane:
    """Pixels to the nearest side of the canvas."""
    height, width = size
    y, x = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    rows, columns = np.minimum(y, y[::-1]), np.minimum(x, x[::-1])
    return np.minimum(rows[:, None], columns[None])


def _cut_corners(edge: Plane, size: tuple[int, ...], unit: float) -> Plane:
    """The same distance, but with a square notch in each corner."""
    height, width = size
    y, x = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    rows, columns = np.minimum(y, y[::-1])[:, None] / unit, np.minimum(x, x[::-1])[None] / unit
    return np.minimum(edge, np.maximum(rows, columns) - 22)
