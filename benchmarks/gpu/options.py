"""What the command line may set: `key=value` each."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Options:
    """Defaults are those of the figures in docs/performance.md."""

    parts: tuple[str, ...] = ()
    """Which, in this order."""
    models: str = "sdxl"
    """sdxl and tiny have random weights; embedded is the shipped checkpoint."""
    device: str = "auto"
    dtype: str = "auto"
    """Of our engine; auto is what the service would choose."""
    side: int = 1024
    """Pixels of the pictures; where two sizes are measured, the other is half of it."""
    steps: int = 30
    repeats: int = 5
    batches: tuple[int, ...] = (1, 2, 4, 8)
    clients: int = 8
    compile: str = "blocks"
    """How part `compiled` compiles diffusers' networks: blocks, the repeated ones alone, or whole."""
    mode: str = "default"
    """torch.compile's, in part `compiled`."""
    product: int = 8192
    """Side of the matrices that the card's rate is measured with."""
    only: str = ""
    """Of savers and variants: those alone whose names contain it."""
    seconds: float = 540.0
    out: Path = Path("out/gpu")


_CHOICES = {"models": ("sdxl", "tiny", "embedded"), "compile": ("blocks", "whole")}


def parse(arguments: list[str], parts: list[str]) -> Options:
    """Raises SystemExit with the known keys or parts on any other."""
    defaults = Options(parts=tuple(parts))
    known = {field.name: getattr(defaults, field.name) for field in fields(Options)}
    given = dict[str, Any]()
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key not in known or not equals:
            raise SystemExit(f"'{argument}' is unknown; write key=value with: {', '.join(known)}.")
        given[key] = _read(key, value, known[key])
    options = Options(**{**known, **given})
    if unknown := [part for part in options.parts if part not in parts]:
        raise SystemExit(f"Unknown part '{unknown[0]}'; choose from: {', '.join(parts)}.")
    return options


def _read(key: str, text: str, default: Any) -> Any:
    """The text as a value of the default's type."""
    if text not in _CHOICES.get(key, (text,)):
        raise SystemExit(f"'{key}' is one of: {', '.join(_CHOICES[key])}.")
    kind = type(default)
    try:
        if kind is tuple:
            return tuple(type(default[0])(one) for one in text.split(","))
        return kind(text)
    except ValueError:
        raise SystemExit(f"'{key}' cannot be '{text}'.") from None
