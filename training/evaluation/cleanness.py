"""How clean are the pictures? What the VAE loses, and colours and edges beside the art's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from diffusers import AutoencoderKL

from training.art import STYLES
from training.evaluation.bench import Bench, Drawing, Progress
from training.evaluation.gallery import Picture
from training.evaluation.results import Row
from writing_service.types import Mask

PICTURES = 25


@dataclass(frozen=True)
class Cleanness:
    """`vae_psnr` in decibels, the mean over the art; the others are the drawn pictures' means over the art's."""

    pictures: int
    vae_psnr: float
    saturation: float
    sharpness: float
    saturation_by_style: dict[str, float]
    sharpness_by_style: dict[str, float]

    def rows(self) -> Iterable[Row]:
        """Three, and the styles."""
        yield Row("art through the VAE", "", f"{self.vae_psnr:.1f} dB")
        yield Row("saturation, of the art's", f"{self.saturation:.2f}", "1", "")
        yield Row("sharpness of the word's edges, of the art's", f"{self.sharpness:.2f}", "1", "")
        for style, saturation in self.saturation_by_style.items():
            sharpness = self.sharpness_by_style[style]
            both = f"{saturation:.2f}, {sharpness:.2f}"
            yield Row(f"— saturation, sharpness, {style}", both, "1, 1")


@dataclass(frozen=True)
class _Pair:
    """(drawn, art) of each."""

    style: str
    chroma: tuple[float, float]
    edges: tuple[float, float]


async def measure(bench: Bench) -> Cleanness:
    """25 scenes, styles in turn."""
    words = bench.held_out(PICTURES)
    progress = Progress("cleanness", len(words))
    vae = AutoencoderKL.from_pretrained(bench.checkpoint / "vae").eval()
    pairs, losses = [], []
    for number, entry in enumerate(words):
        style = STYLES[number % len(STYLES)]
        drawing = await bench.draw(entry.word, entry.meaning, style, number)
        art = drawing.art()
        pairs.append(_pair(style, drawing, art))
        losses.append(psnr(art, through(vae, art)))
        progress.tick()
    styles = [style for style in STYLES if any(pair.style == style for pair in pairs)]
    return Cleanness(
        len(words),
        float(np.mean(losses)),
        _ratio([pair.chroma for pair in pairs]),
        _ratio([pair.edges for pair in pairs]),
        {style: _ratio([p.chroma for p in pairs if p.style == style]) for style in styles},
        {style: _ratio([p.edges for p in pairs if p.style == style]) for style in styles},
    )


def chroma(picture: Picture) -> float:
    """Mean distance from grey in CIE Lab; pure sRGB colours are about 100."""
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return float(np.hypot(lab[..., 1], lab[..., 2]).mean())


def edge_energy(picture: Picture, mask: Mask) -> float:
    """Mean squared gradient of the light, 0 to 1, within two pixels of the word's outline."""
    light = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    x, y = (cv2.Sobel(light, cv2.CV_32F, dx, 1 - dx, scale=1 / 8) for dx in (1, 0))
    ink, kernel = (mask > 127).astype(np.uint8), np.ones((5, 5), np.uint8)
    outline = cv2.dilate(ink, kernel) > cv2.erode(ink, kernel)
    return float((x**2 + y**2)[outline].mean())


def psnr(one: Picture, other: Picture) -> float:
    """Peak signal-to-noise ratio in decibels; at most 100."""
    error = np.mean((one.astype(np.float64) - other) ** 2)
    return float(10 * np.log10(255**2 / max(error, 255**2 * 1e-10)))


@torch.inference_mode()
def through(vae: AutoencoderKL, picture: Picture) -> Picture:
    """Encoded and decoded; sides are multiples of the VAE's own step."""
    values = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
    back = vae.decode(vae.encode(values).latent_dist.mode()).sample[0]
    return ((back.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()


def _pair(style: str, drawing: Drawing, art: Picture) -> _Pair:
    mask = drawing.word.mask
    return _Pair(
        style,
        (chroma(drawing.picture), chroma(art)),
        (edge_energy(drawing.picture, mask), edge_energy(art, mask)),
    )


def _ratio(pairs: Sequence[tuple[float, float]]) -> float:
    drawn, art = np.sum(pairs, axis=0)
    return float(drawn / max(art, 1e-9))
