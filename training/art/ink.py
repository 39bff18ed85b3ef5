"""Ink: rice paper, a grey wash, dry brush contours, misty distance, one red seal."""

import random

import cv2
import numpy as np

from training.art.hues import Hue, borrowed
from training.art.layers import Layers, Plane, blended, glaze, lay, shade, sheet
from training.art.palettes import INKS, SEALS, Inks, colour
from training.art.shapes import Motif, Shape, tones
from training.art.textures import (
    VARIANTS,
    blur,
    disc,
    grain,
    noise,
    places,
    ripples,
    smooth,
    streaks,
    wavered,
)

_TONES = tones(4, 0.7, 0.12, 1.0)


def paint_ink(word: Shape, motif: Motif | None, rng: random.Random) -> Layers:
    """Paper, distance, subject, a bare ring, the word, the seal."""
    inks, distance = rng.choice(INKS), rng.choice(_DISTANCES)
    variant = rng.randrange(VARIANTS)
    picture = sheet(word.size, colour(inks.paper))
    shade(picture, 0.965 + 0.05 * noise(word.size, 4, variant, 3))
    distance(picture, inks, variant, rng)
    hues = borrowed(motif, rng)
    if motif is not None:
        _paint_subject(picture, motif, inks, variant)
    _paint_word(picture, word, inks, hues[0] if hues else None, variant)
    shade(picture, grain(word.size, variant))
    _press_seal(picture, word, motif, rng)
    return picture


def _mountains(picture: Layers, inks: Inks, variant: int, rng: random.Random) -> None:
    """Ridges one behind the other, each dissolving in mist at its foot."""
    size = (picture.shape[1], picture.shape[2])
    _, down = places(size)
    for index, (base, height, density) in enumerate(
        ((0.02, 0.5, 0.42), (0.22, 0.36, 0.55), (0.4, 0.2, 0.75))
    ):
        row = noise(size, 5 + index, variant + index * 3, 2)[size[0] // 3][None]
        depth = down - (base - height * (row - 0.35) + rng.uniform(-0.03, 0.03))
        glaze(picture, colour(inks.wash), smooth(depth, 0, 0.012) * np.exp(depth * -6.5) * density)


def _bamboo(picture: Layers, inks: Inks, variant: int, rng: random.Random) -> None:
    """Stalks with nodes at one side and leaves hanging in from above."""
    height, width = picture.shape[1], picture.shape[2]
    side = rng.choice((-1, 1))
    short, half = min(height, width), width / min(height, width) / 2
    stalks = np.zeros((height, width), np.float32)
    for index in range(3):
        x = side * (half - 0.06 - index * 0.1 - rng.uniform(-0.01, 0.01))
        stalk = _stalk((height, width), x, rng.uniform(-0.1, 0.1), 0.03 - index * 0.005)
        stalks = np.maximum(stalks, stalk * (0.95 - 0.25 * index))
    glaze(picture, colour(inks.wash), stalks * 0.8)
    leaves = np.zeros((height, width), np.uint8)
    for _ in range(9):
        _leaf(leaves, side, half, short, rng)
    glaze(picture, colour(inks.ink), blur(leaves.astype(np.float32) / 255, short / 512) * 0.55)


def _stalk(size: tuple[int, int], x: float, lean: float, radius: float) -> Plane:
    """One stalk, darker at its sides, parted at its nodes."""
    across, down = places(size)
    off = np.abs(across - x - down * lean) / radius
    node = np.abs((down / (radius * 9) + x * 7) % 1 - 0.5)
    body = smooth(off, 1.08, 0.95) * (0.45 + 0.5 * np.minimum(off, 1) ** 2)
    return body * smooth(node, 0.01, 0.035)


def _leaf(leaves: Plane, side: int, half: float, short: int, rng: random.Random) -> None:
    """A pointed leaf near the upper corner of `side`."""
    x = (half + side * (half - rng.uniform(0.02, 0.3))) * short
    y = rng.uniform(0.0, 0.3) * short
    angle = 1.57 - side * rng.uniform(-0.6, 1.1)
    length = rng.uniform(0.12, 0.2)
    along = np.array([np.cos(angle), np.sin(angle)]) * length * short
    beside = np.array([-along[1], along[0]]) * 0.11
    start = np.array([x, y])
    points = [start, start + along * 0.35 + beside, start + along, start + along * 0.35 - beside]
    cv2.fillPoly(leaves, [np.round(np.array(points) * 8).astype(np.int32)], 255, cv2.LINE_AA, 3)


def _moon(picture: Layers, inks: Inks, variant: int, rng: random.Random) -> None:
    """A large pale disc, with bands of mist across its foot."""
    size = (picture.shape[1], picture.shape[2])
    x, y = rng.uniform(-0.18, 0.18), rng.uniform(-0.2, -0.06)
    _, down = places(size)
    bands = smooth(noise(size, 3, variant, 2) + down * 0.8, 0.35, 0.75)
    glaze(picture, colour(inks.wash), (1 - disc(size, x, y, 0.36, 0.1)) * 0.26)
    lay(picture, colour(inks.moon), disc(size, x, y, 0.34, 0.008) * 0.9)
    lay(picture, colour(inks.paper), bands * 0.75)
    glaze(picture, colour(inks.wash), smooth(down, 0.25, 0.55) * 0.35)


def _water(picture: Layers, inks: Inks, variant: int, rng: random.Random) -> None:
    """Long ripples, closer and paler with distance, under a far shore."""
    size = (picture.shape[1], picture.shape[2])
    _, down = places(size)
    shore = rng.uniform(-0.02, 0.08)
    row = noise(size, 6, variant, 3)[size[0] // 2][None]
    hills = smooth(down, shore - 0.16 * row, shore - 0.16 * row + 0.01) * smooth(
        down, shore + 0.012, shore
    )
    glaze(picture, colour(inks.wash), hills * 0.6)
    depth = np.maximum(down - shore, 0)
    drawn = smooth(ripples(size, variant + 2), 0.52, 0.74)
    glaze(picture, colour(inks.wash), drawn * smooth(depth, 0.02, 0.16) * 0.6)
    glaze(picture, colour(inks.wash), smooth(depth, 0, 0.4) * 0.25)


_DISTANCES = (_mountains, _bamboo, _moon, _water)


def _paint_subject(picture: Layers, motif: Motif, inks: Inks, variant: int) -> None:
    """Few steps of grey, then contours by a brush whose pressure changes."""
    shape, unit = motif.shape, motif.shape.unit
    cover = blur(wavered(shape.cover, 3 * unit, variant), 1.2 * unit)
    lay(picture, colour(inks.paper), cover * 0.92)
    flat = motif.flattened()
    tone = cv2.LUT(flat.lightness, _TONES[flat.stretch(0.5)]).astype(np.float32) / 255
    pool = noise(shape.size, 10, variant + 1, 3)
    glaze(picture, colour(inks.ink), (1 - tone) * (0.6 + 0.35 * pool) * cover)
    glaze(picture, colour(inks.wash), shape.edge(9 * unit) * 0.35)
    pressure = noise(shape.size, 7, variant + 2, 2)
    width = (0.8 + 3.2 * pressure) * unit
    contour = np.clip(width + 1 - shape.outside, 0, 1) * np.clip(width + 1 - shape.inside, 0, 1)
    dry = 1 - 0.6 * smooth(streaks(shape.size, variant), 0.5, 0.7) * smooth(pressure, 0.4, 0.8)
    lay(picture, colour(inks.ink), contour * dry * 0.92)
    lay(picture, colour(inks.ink), motif.drawn_lines(0.15) * 0.8)


def _paint_word(picture: Layers, word: Shape, inks: Inks, hue: Hue | None, variant: int) -> None:
    """Bare paper around deep black; where there is a hue, a little of it runs into the wet ink."""
    unit = word.unit
    ring = word.grown(word.stroke(0.9, 8, 13), softness=7 * unit)
    lay(picture, colour(inks.paper), ring * 0.93)
    black = colour(inks.word)
    if hue is None:
        body = blended(black, colour(inks.wash), _dry_lift(word, variant))
    else:
        pooled = smooth(noise(word.size, 7, variant + 4, 2), 0.4, 0.8)
        body = blended(black, colour(hue.at(30, 45)), pooled)
    lay(picture, body, word.cover)


def _dry_lift(word: Shape, variant: int) -> Plane:
    """How much paper a dry brush leaves open in the middle of broad strokes."""
    dry = smooth(streaks(word.size, variant), 0.56, 0.76)
    middle = np.clip(word.inside / (word.half * 0.9), 0, 1)
    return dry * middle * float(np.clip(word.half / word.unit / 8 - 0.5, 0, 1)) * 0.26


def _press_seal(picture: Layers, word: Shape, motif: Motif | None, rng: random.Random) -> None:
    """A red seal in a corner that word and subject leave free (or nearly)."""
    height, width = word.size
    side, gap = round(46 * word.unit), round(24 * word.unit)
    corners = [(x, y) for x in (gap, width - gap - side) for y in (gap, height - gap - side)]
    rng.shuffle(corners)
    near = word.grown(6 * word.unit)
    if motif is not None:
        near = near + motif.shape.cover
    left, top = min(corners, key=lambda c: near[c[1] : c[1] + side, c[0] : c[0] + side].sum())
    red, pale = colour(rng.choice(SEALS)), colour("#fbeee2")
    part = picture[:, top : top + side, left : left + side]
    stamp = cv2.resize(
        _seal(rng.randrange(len(_SEAL_LINES))), (side, side), interpolation=cv2.INTER_AREA
    )
    lay(part, red, stamp[..., 0])
    lay(part, pale, stamp[..., 1])


_SEAL_LINES = (
    ((30, 24, 30, 104), (64, 24, 64, 104), (98, 24, 98, 104), (30, 64, 98, 64)),
    ((28, 28, 100, 28), (28, 64, 100, 64), (28, 100, 100, 100), (64, 28, 64, 100)),
    (
        (28, 28, 28, 100),
        (100, 28, 100, 100),
        (28, 28, 100, 28),
        (28, 64, 100, 64),
        (64, 64, 64, 100),
    ),
    (
        (28, 28, 100, 28),
        (28, 28, 28, 100),
        (60, 60, 100, 60),
        (60, 60, 60, 100),
        (100, 60, 100, 100),
    ),
)


def _seal(design: int) -> Plane:
    """(128, 128, 2): where the red goes, and where its carved lines stay pale."""
    stamp = np.zeros((128, 128, 2), np.float32)
    red, pale = np.zeros((128, 128), np.uint8), np.zeros((128, 128), np.uint8)
    cv2.rectangle(red, (10, 10), (117, 117), 255, -1)
    red = cv2.threshold(cv2.GaussianBlur(red, (0, 0), 7), 127, 255, cv2.THRESH_BINARY)[1]
    for left, top, right, bottom in _SEAL_LINES[design]:
        cv2.line(pale, (left, top), (right, bottom), 255, 11, cv2.LINE_AA)
    stamp[..., 0], stamp[..., 1] = red / 255.0, pale / 255.0
    return stamp
