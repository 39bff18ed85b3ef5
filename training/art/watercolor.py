"""Watercolour: transparent washes with wet edges on grained paper, the word in one deep pigment."""

import math
import random

import cv2
import numpy as np

from training.art.hues import Hue, borrowed
from training.art.layers import Layers, Plane, blended, glaze, lay, shade, sheet
from training.art.palettes import WASHES, WORD_PIGMENTS, Pigments, colour
from training.art.shapes import Motif, Shape, tones
from training.art.textures import VARIANTS, blur, grain, noise, places, polar, smooth, wavered

_TONES = tones(6, 0.45, 0.14, 1.0)
_LINE = colour("#5b4a63")


def paint_watercolor(word: Shape, motif: Motif | None, rng: random.Random) -> Layers:
    """Paper, wash, subject, a lifted ring, the word, the paper's tooth."""
    pigments, deep = rng.choice(WASHES), rng.choice(WORD_PIGMENTS)
    variant = rng.randrange(VARIANTS)
    picture = sheet(word.size, colour(pigments.paper))
    _wash_over(picture, pigments, variant, rng)
    hues = borrowed(motif, rng)
    if motif is not None:
        _paint_subject(picture, motif, pigments, variant)
    _paint_word(picture, word, _deep(*hues) if hues else deep, pigments, variant)
    shade(picture, grain(word.size, variant))
    return picture


def _deep(first: Hue, second: Hue) -> tuple[str, str]:
    """The subject's pigments, thick enough to stand out from the paper."""
    return first.at(26, 50), second.at(38, 62)


def _wash_over(picture: Layers, pigments: Pigments, variant: int, rng: random.Random) -> None:
    """One of the washes, painted at half size: nothing in it is fine, and it costs the most."""
    height, width = picture.shape[1:]
    small = sheet((max(height // 2, 1), max(width // 2, 1)), colour("#ffffff"))
    rng.choice(_WASHES)(small, pigments, variant, rng)
    for plane, part in zip(picture, small, strict=True):
        plane *= cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)


def _spread(picture: Layers, field: Plane, pigment: Layers, strength: Plane | float = 1.0) -> None:
    """One wash: inside where `field` > 0, pigment gathered at its edge and settled in the paper.

    `field` is in short sides, so its edge is about as soft everywhere.
    """
    size = field.shape
    body = smooth(field, 0, 0.014)
    rim = body * np.exp(np.maximum(field, 0) * -55)
    settled = noise(size, 26, 5, 2) * 0.34 + 0.62
    glaze(picture, pigment, (body * settled + rim * 0.38) * strength)


def _tinted(size: tuple[int, int], pigments: Pigments, variant: int) -> Layers:
    """The two wash colours flowing into one another."""
    share = smooth(noise(size, 4, variant + 3, 2), 0.3, 0.7)
    return blended(colour(pigments.first), colour(pigments.second), share)


def _bloom(picture: Layers, pigments: Pigments, variant: int, rng: random.Random) -> None:
    """One large pool around the middle, a second one inside it."""
    size = (picture.shape[1], picture.shape[2])
    reach, _ = polar(size, rng.uniform(-0.04, 0.04), rng.uniform(-0.05, 0.03))
    ragged = (noise(size, 5, variant, 3) - 0.5) * 0.3
    tint = _tinted(size, pigments, variant)
    _spread(picture, 0.49 - reach + ragged, tint)
    _spread(picture, 0.3 - reach - ragged * 0.9, tint, 0.35)


def _sky(picture: Layers, pigments: Pigments, variant: int, rng: random.Random) -> None:
    """A graded sky with clouds left white, and ground below."""
    size = (picture.shape[1], picture.shape[2])
    _, down = places(size)
    lumps = noise(size, 4, variant, 3)
    sky = smooth(down, 0.25, -0.5) * smooth(lumps, 0.62, 0.42)
    glaze(picture, colour(pigments.first), sky * 1.15)
    horizon = rng.uniform(0.2, 0.3)
    rolling = (noise(size, 4, variant + 2, 2) - 0.5) * 0.12
    _spread(picture, down - horizon + rolling, colour(pigments.second), 0.75)
    _spread(picture, down - horizon - 0.13 - rolling, colour(pigments.second), 0.6)


def _pools(picture: Layers, pigments: Pigments, variant: int, rng: random.Random) -> None:
    """Round pools that overlap, in turns of the two colours."""
    size = (picture.shape[1], picture.shape[2])
    ragged = (noise(size, 6, variant, 2) - 0.5) * 0.09
    spin = rng.uniform(0, 6.28)
    for index in range(5):
        angle = spin + index * 6.28 / 5
        reach, _ = polar(size, 0.27 * math.cos(angle), 0.27 * math.sin(angle))
        pigment = pigments.first if index % 2 else pigments.second
        _spread(picture, rng.uniform(0.21, 0.29) - reach + ragged, colour(pigment), 0.85)


def _sweep(picture: Layers, pigments: Pigments, variant: int, rng: random.Random) -> None:
    """Broad slanting brush strokes, one beside the other."""
    size = (picture.shape[1], picture.shape[2])
    across, down = places(size)
    slope = rng.uniform(-0.45, 0.45)
    ragged = (noise(size, 6, variant, 3) - 0.5) * 0.1
    for index in range(4):
        middle = -0.36 + index * 0.24
        ends = 0.52 - np.abs(across + rng.uniform(-0.06, 0.06)) + ragged
        band = 0.125 - np.abs(down + across * slope - middle) + ragged * 0.5
        pigment = pigments.first if index % 2 else pigments.second
        _spread(picture, np.minimum(band, ends), colour(pigment))


_WASHES = (_bloom, _sky, _pools, _sweep)


def _paint_subject(picture: Layers, motif: Motif, pigments: Pigments, variant: int) -> None:
    """Its colours as pigment: thin and light within, gathered at the edge, a few soft lines."""
    shape, unit = motif.shape, motif.shape.unit
    cover = wavered(shape.cover, 3 * unit, variant)
    lay(picture, colour(pigments.paper), blur(cover, 1.2 * unit) * 0.93)
    pigment = motif.flattened().regraded(_TONES, 1.3).colours
    flow = noise(shape.size, 9, variant + 1, 3)
    gathered = shape.edge(4 * unit)
    glaze(picture, pigment, blur(cover, unit) * (0.72 + flow * 0.42 + gathered * 0.4))
    backrun = np.exp(np.abs(flow - 0.55) * -38) * cover
    glaze(picture, pigment, backrun * 0.18)
    glaze(picture, _LINE, motif.drawn_lines(0.17) * 0.7 + gathered * shape.cover * 0.22)


def _paint_word(
    picture: Layers, word: Shape, deep: tuple[str, str], pigments: Pigments, variant: int
) -> None:
    """The ring is lifted back to paper; the stroke is darkest where its edge dried."""
    unit = word.unit
    ring = word.grown(word.stroke(0.9, 8, 13), softness=6 * unit)
    lay(picture, colour(pigments.paper), ring * 0.94)
    dried = word.edge(word.stroke(0.3, 1.5, 4))
    flow = smooth(noise(word.size, 8, variant + 4, 2), 0.25, 0.8) * (1 - dried)
    lay(picture, blended(colour(deep[0]), colour(deep[1]), flow), word.cover)
