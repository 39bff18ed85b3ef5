"""The subject's own colours, made deep or bright enough for a word."""

import random
from dataclasses import dataclass

import cv2
import numpy as np

from training.art.layers import Plane
from training.art.shapes import Motif

SHARE = 0.38
"""Of the words that have a subject, how many take its colours."""

_BINS = 18
_SIDE = 48


@dataclass(frozen=True)
class Hue:
    """A colour that the subject has much of: CIE L* and the angle (radians) of its a* and b*."""

    lightness: float
    angle: float

    def at(self, lightness: float, chroma: float) -> str:
        """ "#rrggbb" of this hue at an L* of 0..100; no more chroma than the screen has there."""
        for share in (1.0, 0.8, 0.6, 0.4, 0.2):
            a, b = np.cos(self.angle) * chroma * share, np.sin(self.angle) * chroma * share
            lab = np.array([[[lightness, a, b]]], np.float32)
            rgb = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
            back = cv2.cvtColor(np.clip(rgb, 0, 1), cv2.COLOR_RGB2LAB)
            if np.abs(back - lab).max() < 6:
                break
        red, green, blue = (int(value) for value in np.clip(rgb[0, 0] * 255 + 0.5, 0, 255))
        return f"#{red:02x}{green:02x}{blue:02x}"


def borrowed(motif: Motif | None, rng: random.Random) -> tuple[Hue, Hue] | None:
    """Two hues for the word, alike where the subject has but one; None mostly, and for a grey one."""
    chance = rng.random()
    if motif is None or chance >= SHARE:
        return None
    hues = hues_of(motif)
    return (hues[0], hues[-1]) if hues else None


def hues_of(motif: Motif) -> tuple[Hue, ...]:
    """The hue that the subject has most of, and a second if it has enough of one.

    The second is a neighbour, 40° to 80° away: opposite hues flow together into mud.
    """
    pixels = cv2.resize(motif.pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST)
    cover = cv2.resize(motif.shape.cover, (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST)
    lab = cv2.cvtColor(pixels[cover > 0.5][None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[0]
    vivid = lab[np.hypot(lab[:, 1], lab[:, 2]) > 18]
    if len(vivid) < 0.08 * len(lab):
        return ()
    chroma = np.hypot(vivid[:, 1], vivid[:, 2])
    turn = np.arctan2(vivid[:, 2], vivid[:, 1]) / (2 * np.pi) % 1
    place = (turn * _BINS).astype(int) % _BINS
    amount = np.bincount(place, chroma, _BINS)
    first = int(amount.argmax())
    away = np.abs((np.arange(_BINS) - first + _BINS // 2) % _BINS - _BINS // 2)
    second = int(np.where((away >= 2) & (away <= 4), amount, 0).argmax())
    chosen = [first, second] if amount[second] > 0.15 * amount[first] else [first]
    return tuple(_mean(vivid[place == index]) for index in chosen)


def _mean(lab: Plane) -> Hue:
    lightness, a, b = lab.mean(axis=0)
    return Hue(float(lightness), float(np.arctan2(b, a)))
