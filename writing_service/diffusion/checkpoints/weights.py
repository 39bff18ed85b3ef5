"""Is a folder of models whole? Answered from the files' heads, without loading a tensor.

Only safetensors are accepted: the older formats are pickles, which can run code when they are read.
"""

import json
import math
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from writing_service.diffusion.checkpoints.known_models import family_named

NETWORKS = ("text_encoder", "text_encoder_2", "unet", "vae")
"""Folders of a base model that hold weights."""

FOLDERS = (*NETWORKS, "scheduler", "tokenizer", "tokenizer_2")
"""All folders of a base model."""

_STEMS = ("diffusion_pytorch_model", "model")
PICKLES = {".bin", ".ckpt", ".pkl", ".pt", ".pth"}
"""Endings of the older formats."""

_SDXL_TEXT = "conditioner.embedders.1."
_UNET = "model.diffusion_model."
"""How a whole model in one file names the tensors of its second text encoder and of its UNet."""

_TEXT_KEY = re.compile(r"attn2[._]to_k[._](lora_A|lora_down|lora[._]down)\b.*")
"""LoRA tensors of shape (rank, width of the text that the UNet reads)."""

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


def base_file_reasons(path: Path, vae: bool) -> list[str]:
    """Why an SDXL model in one file cannot be loaded. `vae`: whether it must have a VAE."""
    if reasons := file_reasons(path):
        return reasons
    names = tensor_shapes(path)
    wanted = [_UNET, _SDXL_TEXT, *(["first_stage_model."] if vae else [])]
    lacking = [prefix for prefix in wanted if not any(name.startswith(prefix) for name in names)]
    return [f"{path} has no tensors '{lacking[0]}...', so it is no SDXL model"] if lacking else []


def lora_reasons(path: Path) -> list[str]:
    """Why a file cannot be added to a model as a LoRA."""
    if reasons := file_reasons(path):
        return reasons
    strange = next((name for name in tensor_shapes(path) if not _of_lora(name)), None)
    return [f"{path} is no LoRA: it holds '{strange}'"] if strange else []


def file_reasons(path: Path) -> list[str]:
    """Why a file of weights cannot be read."""
    if refused := refusal(path):
        return [refused]
    found = damage(path) if path.is_file() else f"there is no file {path}"
    return [found] if found else []


def refusal(path: Path) -> str | None:
    """Why a file is not read whatever it holds: by its name alone."""
    if path.suffix in PICKLES:
        return _pickled(path)
    return None if path.suffix == ".safetensors" else f"{path} is no safetensors file"


def text_width(place: Path) -> int | None:
    """Width of the text that a network reads: of its folder, or of a LoRA's file; None if unknown."""
    if place.is_dir():
        config = _read_json(place / "config.json")
        return None if isinstance(config, str) else config.get("cross_attention_dim")
    shapes = (shape for name, shape in tensor_shapes(place).items() if _TEXT_KEY.search(name))
    return next((shape[1] for shape in shapes if len(shape) > 1), None)


def misfit(place: Path, unet: Path) -> str | None:
    """Why a network or a LoRA cannot steer a UNet, as the end of a sentence; None when it may fit."""
    theirs, ours = text_width(place), text_width(unet)
    if theirs is None or ours is None or theirs == ours:
        return None
    return (
        f"was made for {family_named(theirs)} (it reads text of width {theirs}), and the base model "
        f"is {family_named(ours)} (width {ours})"
    )


def element_count(place: Path, variant: str | None) -> int:
    """Numbers in a file of weights, or in those of a folder that would be read."""
    files = [place] if place.is_file() else [place / one for one in _weights_in(place, variant)]
    return sum(math.prod(shape) for file in files for shape in tensor_shapes(file).values())


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """By name, from the head of a safetensors file. Raises OSError, and ValueError for others."""
    head, _ = _read_head(path)
    return {name: tuple(one["shape"]) for name, one in head.items() if name != "__metadata__"}


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
    else:
        yield from _tokenizer_reasons(folder / name)


def _tokenizer_reasons(folder: Path) -> list[str]:
    """Without a vocabulary, the library would make a tokenizer that knows no word."""
    forms = (("tokenizer.json",), ("vocab.json", "merges.txt"))
    if not any(all((folder / name).is_file() for name in form) for form in forms):
        return [f"there is no {folder / forms[0][0]}"]
    damaged = (damage(path) for path in folder.glob("*.json"))
    return [found for found in damaged if found]


def _weight_reasons(folder: Path, variant: str | None) -> list[str]:
    chosen = _weights_in(folder, variant)
    if not chosen:
        return [_no_weights(folder)]
    if missing := _missing_shards(chosen):
        return [f"{folder} lacks {missing} of its weight files"]
    if len(chosen) > 1 and not any(folder.glob("*.safetensors.index*.json")):
        return [f"{folder} lacks the index of its {len(chosen)} weight files"]
    return [reason for name in chosen if (reason := damage(folder / name))]


def _weights_in(folder: Path, variant: str | None) -> list[str]:
    if not folder.is_dir():
        return []
    return choose_weights((path.name for path in folder.iterdir()), variant)


def _no_weights(folder: Path) -> str:
    pickled = next((path for path in folder.iterdir() if path.suffix in PICKLES), None)
    return _pickled(pickled) if pickled else f"there are no safetensors weights in {folder}"


def _pickled(path: Path) -> str:
    return (
        f"{path} is a pickle file, which can run code when it is read; "
        "take or convert the weights as safetensors"
    )


def _of_lora(name: str) -> bool:
    return "lora" in name or name.endswith((".alpha", ".dora_scale"))


def _missing_shards(names: Sequence[str]) -> int:
    total = re.search(r"-of-(\d+)\.", names[0])
    return int(total[1]) - len(names) if total else 0


def damage(path: Path) -> str | None:
    """Why a file of weights or of JSON is not whole; None when it is, or is of another kind."""
    if path.suffix == ".json":
        content = _read_json(path)
        return content if isinstance(content, str) else None
    return _broken_head(path) if path.suffix == ".safetensors" else None


def _broken_head(path: Path) -> str | None:
    try:
        head, length = _read_head(path)
        ends = [one["data_offsets"][1] for key, one in head.items() if key != "__metadata__"]
        whole = path.stat().st_size == 8 + length + max(ends, default=0)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    except (ValueError, TypeError, LookupError):
        whole = False
    return None if whole else f"{path} is damaged or cut short"


def _read_head(path: Path) -> tuple[dict[str, Any], int]:
    """A safetensors file is 8 bytes of length, a JSON header of that length, and the tensors.

    Raises OSError, and ValueError for what is no such file.
    """
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else _LONGEST_HEADER + 1
        head: Any = json.loads(file.read(length)) if length <= _LONGEST_HEADER else None
    if not isinstance(head, dict):
        raise ValueError(f"{path} is no safetensors file")
    return head, length


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
