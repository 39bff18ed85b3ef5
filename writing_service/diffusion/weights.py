"""Is a folder of models whole? Answered from the files' heads, without loading a tensor.

Only safetensors are accepted: the older formats are pickles, which can run code when they are read.
"""

import json
import re
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

NETWORKS = ("text_encoder", "text_encoder_2", "unet", "vae")
"""Folders of a base model that hold weights."""

FOLDERS = (*NETWORKS, "scheduler", "tokenizer", "tokenizer_2")
"""All folders of a base model."""

LOADING = threading.RLock()
"""Held while a model is loaded: the libraries change torch for the whole process meanwhile, and two
that load at once would get in each other's way."""

_STEMS = ("diffusion_pytorch_model", "model")
_PICKLES = {".bin", ".ckpt", ".pkl", ".pt", ".pth"}
_LONGEST_HEADER = 100_000_000
"""The safetensors format's own bound, in bytes."""


def base_reasons(folder: Path, variant: str | None, without: Iterable[str] = ()) -> list[str]:
    """Why an SDXL folder cannot be loaded; empty when it looks whole but for `without`."""
    if not folder.is_dir():
        return [f"there is no folder {folder}"]
    index = _read_json(folder / "model_index.json")
    if isinstance(index, str):
        return [index]
    wanted = [name for name in FOLDERS if name not in set(without)]
    return [
        reason for name in wanted for reason in _component_reasons(folder, name, index, variant)
    ]


def model_reasons(folder: Path, variant: str | None) -> list[str]:
    """Why a folder of one network cannot be loaded; empty when it looks whole."""
    if not folder.is_dir():
        return [f"there is no folder {folder}"]
    config = _read_json(folder / "config.json")
    return [config] if isinstance(config, str) else _weight_reasons(folder, variant)


def class_of(folder: Path) -> str:
    """The diffusers class that the folder's configuration names, "" when it names none."""
    return _configured(folder, "_class_name")


def family_of(folder: Path) -> str:
    """The transformers architecture that the folder's configuration names, "" when it names none."""
    return _configured(folder, "model_type")


def choose_weights(names: Iterable[str], variant: str | None) -> list[str]:
    """Those of a folder's file names that hold its weights: the variant's, else the plain ones."""
    known = list(names)
    for suffix in ([f".{variant}"] if variant else []) + [""]:
        for stem in _STEMS:
            form = re.compile(rf"{stem}{re.escape(suffix)}(-\d+-of-\d+)?\.safetensors")
            if found := sorted(name for name in known if form.fullmatch(name)):
                return found
    return []


def has_variant(folders: Iterable[Path], variant: str | None) -> bool:
    """Whether any of the folders holds weights of the variant."""
    return variant is not None and any(
        f".{variant}" in name for folder in folders for name in _weights_in(folder, variant)
    )


def _component_reasons(
    folder: Path, name: str, index: dict[str, Any], variant: str | None
) -> Iterator[str]:
    entry: Sequence[str | None] = index.get(name) or (None, None)
    if entry[-1] is None:
        yield f"{folder / 'model_index.json'} names no {name}, so this is no SDXL model"
    elif name in NETWORKS:
        yield from model_reasons(folder / name, variant)
    elif name == "scheduler":
        config = _read_json(folder / name / "scheduler_config.json")
        yield from [config] if isinstance(config, str) else []
    elif not (folder / name).is_dir() or not any((folder / name).iterdir()):
        yield f"there is no {folder / name}"


def _weight_reasons(folder: Path, variant: str | None) -> list[str]:
    chosen = _weights_in(folder, variant)
    if not chosen:
        return [_no_weights(folder)]
    if missing := _missing_shards(chosen):
        return [f"{folder} lacks {missing} of its weight files"]
    return [reason for name in chosen if (reason := _damage(folder / name))]


def _weights_in(folder: Path, variant: str | None) -> list[str]:
    if not folder.is_dir():
        return []
    return choose_weights((path.name for path in folder.iterdir()), variant)


def _no_weights(folder: Path) -> str:
    if any(path.suffix in _PICKLES for path in folder.iterdir()):
        return (
            f"{folder} has its weights only as pickle files, which can run code when they are "
            "read; convert them to safetensors"
        )
    return f"there are no safetensors weights in {folder}"


def _missing_shards(names: Sequence[str]) -> int:
    total = re.search(r"-of-(\d+)\.", names[0])
    return int(total[1]) - len(names) if total else 0


def _damage(path: Path) -> str | None:
    """A safetensors file is 8 bytes of length, a JSON header of that length, and the tensors."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header: Any = json.loads(file.read(length)) if length <= _LONGEST_HEADER else None
        ends = [one["data_offsets"][1] for key, one in header.items() if key != "__metadata__"]
        whole = path.stat().st_size == 8 + length + max(ends, default=0)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    except (struct.error, ValueError, AttributeError, TypeError, LookupError):
        whole = False
    return None if whole else f"{path} is damaged or cut short"


def _configured(folder: Path, key: str) -> str:
    config = _read_json(folder / "config.json")
    return "" if isinstance(config, str) else str(config.get(key, ""))


def _read_json(path: Path) -> dict[str, Any] | str:
    """The object in the file, or the reason why there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"there is no {path}"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    except ValueError:
        return f"{path} is no valid JSON"
    return value if isinstance(value, dict) else f"{path} holds no JSON object"
