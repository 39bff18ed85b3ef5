"""The judge: a small network that names the concept and the style of a whole picture.

It has seen clean art alone (`classifier.py`), never a drawn picture: so a drawn picture that it names is one
that shows its subject as the art would.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from training.evaluation.vocabulary import Vocabulary

SIDE = 128
"""Pixels: pictures are shrunk to this square."""

FILE = Path(__file__).parent / "classifier.safetensors"


class Block(nn.Module):
    """Two convolutions; what comes in is added to what comes out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(F.relu(self.first(x))))


class Network(nn.Module):
    """(n, 3, 128, 128), 0 to 1 → features (n, 256), concepts' logits, styles' logits. About 2 million parameters."""

    def __init__(self, concepts: int, styles: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            _halve(3, 32), _halve(32, 64), Block(64), _halve(64, 128), Block(128), Block(128),
            _halve(128, 192), Block(192),
        )  # fmt: skip
        self.gather = nn.Sequential(nn.Linear(2 * 192, 256), nn.BatchNorm1d(256), nn.ReLU())
        self.concept = nn.Linear(256, concepts)
        self.style = nn.Linear(256, styles)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.trunk(pictures * 4 - 2)
        features = self.gather(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))
        return features, self.concept(features), self.style(features)


@dataclass(frozen=True, eq=False)
class Verdict:
    """`concepts` (n, classes) and `styles` (n, styles) are probabilities, `features` (n, 256) what they come from."""

    concepts: NDArray[np.float32]
    styles: NDArray[np.float32]
    features: NDArray[np.float32]


class Judge:
    """Names concept and style."""

    def __init__(self, network: Network, vocabulary: Vocabulary, styles: Sequence[str]) -> None:
        self.network, self.vocabulary, self.styles = network.eval(), vocabulary, tuple(styles)

    @classmethod
    def load(cls, file: Path = FILE) -> "Judge":
        """Raises FileNotFoundError when nobody has trained it."""
        if not file.exists():
            raise FileNotFoundError(
                f"There is no {file}; train it: python -m training.evaluation.classifier"
            )
        with safe_open(str(file), "pt") as opened:
            told = opened.metadata()
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a dict
        classes, styles = json.loads(told["classes"]), json.loads(told["styles"])
        network = Network(len(classes), len(styles))
        network.load_state_dict(
            {name: weight.float() for name, weight in weights.items()}, strict=False
        )
        return cls(network, Vocabulary(tuple(tuple(names) for names in classes)), styles)

    def save(self, file: Path = FILE) -> None:
        """In half precision, with the names of classes and styles."""
        weights = {
            name: value.detach().cpu().half().contiguous()
            for name, value in self.network.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
        told = {"classes": json.dumps(self.vocabulary.classes), "styles": json.dumps(self.styles)}
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file(weights, str(file), metadata=told)

    @torch.inference_mode()
    def judge(self, pictures: Sequence[NDArray[np.uint8]]) -> Verdict:
        """`pictures` are (H, W, 3) RGB of any size."""
        device = next(self.network.parameters()).device
        seen = torch.from_numpy(np.stack([shrunk(picture) for picture in pictures])).to(device)
        told = [self.network(part.float() / 255) for part in seen.split(64)]
        features, concepts, styles = (torch.cat(parts) for parts in zip(*told, strict=True))
        return Verdict(
            concepts.softmax(1).cpu().numpy(),
            styles.softmax(1).cpu().numpy(),
            features.cpu().numpy(),
        )


def shrunk(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) → (3, 128, 128) uint8, as the judge sees it."""
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(np.moveaxis(small, -1, 0))


def _halve(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, 2, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
    )
