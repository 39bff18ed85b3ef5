"""What stands for a word that cannot be seen itself (`semantic_data/metaphors.yaml`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

FILE = Path(__file__).parent / "semantic_data" / "metaphors.yaml"


@dataclass(frozen=True)
class Metaphor:
    """What stands for a word: a scene, and the pictogram that comes nearest to it."""

    scene: str
    shows: str


@lru_cache(maxsize=1)
def metaphors() -> Mapping[str, Metaphor]:
    """By word."""
    entries = yaml.safe_load(FILE.read_text("utf-8"))
    return {
        word: Metaphor(entry["scene"], entry["shows"])
        for entry in entries
        for word in entry["words"]
    }
