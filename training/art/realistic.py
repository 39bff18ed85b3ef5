"""Realistic: light, depth and shadow; the word as lit relief of metal, enamel or porcelain."""

import random

import cv2
import numpy as np

from training.art.hues import Hue, borrowed
from training.art.layers import Layers, Plane, blended, lay, ramp, rising, shade, sheet
from training.art.palettes import GOLD_RIM, LIGHTS, MATERIALS, SILVER_RIM, Light, Material, colour
from training.art.shapes import Motif, Shape
from training.art.textures import VARIANTS, blur, disc, moved, places, polar, ripples, smooth

WHITE = colour("#ffffff")


def paint_realistic(word: Shape, motif: Motif | None, rng: random.Random) -> Layers:
    """Surroundings, subject with its shadows, relief, a lens's darker corners."""
    light, material = rng.choice(LIGHTS), rng.choice(MATERIALS)
    picture = rng.choice(_PLACES)(word.size, light, rng)
    hues = borrowed(motif, rng)
    if motif is not None:
        _stand_subject(picture, motif, light)
    _raise_word(picture, word, _enamel(*hues) if hues else material)
    reach, _ = polar(word.size, 0, 0)
    shade(picture, 1 - 0.2 * smooth(reach, 0.45, 0.85))
    return picture


def _enamel(first: Hue, second: Hue) -> Material:
    """The subject's own substance: deep enamel, or something bright where its colour is a light one."""
    if first.lightness > 66:
        steps = ((36, 45), (60, 65), (78, 70), (89, 45), (98, 10))
        return Material(
            tuple(first.at(*step) for step in steps), (second.at(5, 12), second.at(22, 25))
        )
    steps = ((8, 30), (20, 50), (34, 65), (52, 65), (88, 25))
    yellowish = 0.95 < first.angle < 1.95
    return Material(
        tuple(first.at(*step) for step in steps), SILVER_RIM if yellowish else GOLD_RIM, halo=True
    )


def _studio(size: tuple[int, int], light: Light, rng: random.Random) -> Layers:
    """A backdrop sweeping into the floor, lit by one lamp."""
    above, horizon = colour(light.above), colour(light.horizon)
    picture = sheet(size, above)
    lay(picture, horizon, disc(size, rng.uniform(-0.15, 0.15), -0.05, 0.42, 0.75))
    floor = rising(size[0], 0.74, 0.82)
    lay(picture, blended(colour(light.far), colour(light.near), rising(size[0], 0.78, 1.0)), floor)
    return picture


def _bokeh(size: tuple[int, int], light: Light, rng: random.Random) -> Layers:
    """Lamps far out of focus in the dusk."""
    above, far = colour(light.above), colour(light.far)
    picture = sheet(size, above)
    lay(picture, far, rising(size[0], 0.0, 0.85))
    for _ in range(8):
        x, y, radius = rng.uniform(-0.5, 0.5), rng.uniform(-0.48, 0.12), rng.uniform(0.05, 0.12)
        spot = disc(size, x, y, radius, 0.02)
        lay(
            picture, colour(rng.choice((light.glint, light.horizon))), spot * rng.uniform(0.25, 0.5)
        )
    lay(picture, colour(light.near), rising(size[0], 0.8, 0.86))
    lay(picture, far, rising(size[0], 0.8, 0.86) * rising(size[0], 1.0, 0.8) * 0.45)
    return picture


def _landscape(size: tuple[int, int], light: Light, rng: random.Random) -> Layers:
    """Sky, hills in haze, a meadow."""
    picture = sheet(size, colour(light.above))
    lay(picture, colour(light.horizon), rising(size[0], 0.0, 0.62))
    across, down = places(size)
    lay(picture, colour(light.glint), disc(size, rng.uniform(-0.35, 0.35), -0.12, 0.1, 0.5) * 0.8)
    for base, share in ((0.04, 0.45), (0.14, 0.75)):
        swell = 0.06 * np.sin(across[:1] * rng.uniform(4, 8) + rng.uniform(0, 6))
        hills = smooth(down - base - swell, -0.012, 0.012)
        tone = colour(light.horizon) * (1 - share) + colour(light.far) * share
        lay(picture, tone, hills)
    meadow = blended(colour(light.far), colour(light.near), rising(size[0], 0.72, 1.0))
    lay(picture, meadow * np.float32(0.92), smooth(down, 0.24, 0.27))
    return picture


def _seaside(size: tuple[int, int], light: Light, rng: random.Random) -> Layers:
    """A low sun and its path over still water."""
    picture = sheet(size, colour(light.above))
    lay(picture, colour(light.horizon), rising(size[0], 0.02, 0.6))
    x = rng.uniform(-0.3, 0.3)
    lay(picture, colour(light.glint), disc(size, x, 0.02, 0.16, 0.45) * 0.7)
    lay(picture, colour(light.glint), disc(size, x, 0.02, 0.1, 0.02) * 0.9)
    across, down = places(size)
    sea = smooth(down, 0.098, 0.104)
    lay(picture, blended(colour(light.far), colour(light.near), rising(size[0], 0.6, 1.0)), sea)
    waves = smooth(ripples(size, rng.randrange(VARIANTS)), 0.3, 0.8)
    path = np.exp(-(((across - x) / (0.07 + np.maximum(down - 0.1, 0) * 0.4)) ** 2))
    lay(picture, colour(light.glint), sea * (path * 0.8 + 0.12) * waves)
    return picture


_PLACES = (_studio, _bokeh, _landscape, _seaside)


def _stand_subject(picture: Layers, motif: Motif, light: Light) -> None:
    """Shadow on the floor and behind; then the subject, its rim bright towards the lamp."""
    shape, unit = motif.shape, motif.shape.unit
    shade(picture, 1 - _floor_shadow(shape))
    shade(picture, 1 - 0.3 * shape.shadow(0, 12 * unit, 10 * unit, 12 * unit))
    lay(picture, motif.colours, shape.cover)
    slope = shape.inside - moved(shape.inside, 5 * unit, 6 * unit)
    rim = np.exp(shape.inside / (-5 * unit)) * shape.cover
    lit = smooth(slope, 0.5 * unit, -5 * unit)
    lay(picture, colour(light.glint), rim * (1 - lit) * 0.3)
    shade(picture, 1 - rim * lit * 0.4)
    shade(picture, 1 + shape.cover * (0.08 - 0.2 * shape.rows))


def _floor_shadow(shape: Shape) -> Plane:
    """A soft ellipse where the subject meets the floor; none for one high up in the air."""
    left, _, right, bottom = shape.bounds
    height, width = shape.size
    strength = np.float32(0.55 * np.clip((bottom / height - 0.5) / 0.25, 0, 1))
    x = (np.arange(width, dtype=np.float32) - (left + right) / 2) / max((right - left) * 0.5, 1)
    y = (np.arange(height, dtype=np.float32) - bottom) / (26 * shape.unit)
    return np.exp(-(x * x))[None] * (np.exp(-(y * y)) * strength)[:, None]


def _raise_word(picture: Layers, word: Shape, material: Material) -> None:
    """Soft shadow, rim, bevelled face with its glints."""
    unit, line = word.unit, word.stroke(0.5, 3.5, 7)
    ring = word.grown(line + 7 * unit, softness=14 * unit)
    shade(picture, 1 - 0.6 * word.shadow(line, 7 * unit, 9 * unit, 6 * unit))
    if material.halo:
        lay(picture, colour(material.rim[1]), ring * 0.62)
    else:
        shade(picture, 1 - 0.45 * ring)
    light = _lit(word)
    dark, bright = (colour(code) for code in material.rim)
    lay(picture, blended(dark, bright, _rim_light(word, line)), word.grown(line))
    lay(picture, colour("#000000"), word.grown(0.8 * unit) * 0.45)
    lay(picture, ramp(light, *(colour(code) for code in material.ramp)), word.cover)
    lay(picture, WHITE, smooth(light, 0.86, 1.05) * word.cover * 0.6)


def _lit(word: Shape) -> Plane:
    """0..1 light on the rounded face: bright towards the lamp, a sheen from top to bottom."""
    width = word.stroke(0.85, 3, 12)
    rise = np.minimum(word.inside * (1 / width), 1)
    height = blur(np.sqrt(rise * (2 - rise)), 0.9 * word.unit) * (width * 0.8)
    right = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=1 / 8)
    facing = 1 / np.sqrt(right * right + down * down + 0.5)
    light = (0.5 * right + 0.72 * down) * facing * 0.42
    return np.clip(0.55 + light + 0.12 * (0.5 - word.rows), 0, 1)


def _rim_light(word: Shape, line: float) -> Plane:
    """0..1 on the rim: brighter on the side of the lamp."""
    body = blur(word.grown(line * 0.5), line * 0.6)
    return smooth(moved(body, -line * 0.6, -line * 0.7) - body, -0.25, 0.25)
