"""From YAML and overrides to checked settings. Only this file knows Hydra."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from yaml import YAMLError

from writing_service.config.keys import unknown_key
from writing_service.config.settings import Settings
from writing_service.errors import ConfigurationError


def load_settings(overrides: Sequence[str] = (), folder: Path | None = None) -> Settings:
    """Compose the YAML of `folder` (None: the service's own) and check it.

    `overrides` are Hydra's: "api.port=8700", "pipeline=sdxl". Raises ConfigurationError.
    """
    folder = (folder or config_folder()).absolute()
    composed = _compose(folder, [_checked(override, folder) for override in overrides])
    try:
        return Settings.model_validate(composed)
    except ValidationError as error:
        raise ConfigurationError(_sentence(error.errors())) from None


def config_folder() -> Path:
    """The packaged folder, or the checkout's."""
    here = Path(__file__).parent.parent
    packaged = here / "conf" / "config"
    return packaged if packaged.is_dir() else here.parent / "conf" / "config"


def _compose(folder: Path, overrides: Sequence[str]) -> Any:
    """Plain data. The libraries' errors become ours here, once."""
    try:
        with initialize_config_dir(str(folder), version_base="1.3"):
            composed = compose("default", overrides=list(overrides))
        return OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except YAMLError as error:
        raise ConfigurationError(f"The configuration is not valid YAML: {_flat(error)}.") from None
    except OmegaConfBaseException as error:
        where = f"Setting '{error.full_key}'" if error.full_key else "The configuration"
        raise ConfigurationError(f"{where} cannot be read: {_first_line(error)}.") from None
    except (HydraException, ValueError, OSError) as error:
        raise ConfigurationError(f"The configuration cannot be read: {_flat(error)}.") from None


def _checked(override: str, folder: Path) -> str:
    """The override in the form that sets any key: pydantic, which knows them all, judges later."""
    parsed = _parsed(override)
    key = parsed.key_or_group
    if parsed.is_delete():
        raise ConfigurationError(f"Setting '{key}' cannot be removed, only set: write {key}=value.")
    if parsed.is_sweep_override():
        raise ConfigurationError(f"Setting '{key}' takes one value, not several: '{override}'.")
    if key == "pipeline" and parsed.package is None:
        return f"pipeline={_known_pipeline(parsed.value(), folder)}"
    if key.split(".")[0] not in Settings.model_fields or parsed.package is not None:
        raise ConfigurationError(unknown_key(override.partition("=")[0].lstrip("+").split(".")))
    return f"++{override.strip().lstrip('+')}"


def _parsed(override: str) -> Override:
    try:
        return OverridesParser.create().parse_override(override)
    except (HydraException, ValueError, RecursionError):
        message = f"'{override}' cannot be understood; write key=value, such as api.port=8700."
        raise ConfigurationError(message) from None


def _known_pipeline(name: object, folder: Path) -> str:
    known = sorted(path.stem for path in (folder / "pipeline").glob("*.yaml"))
    if name not in known:
        raise ConfigurationError(f"Unknown pipeline '{name}'; choose one of: {', '.join(known)}.")
    return str(name)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _flat(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _sentence(errors: Sequence[ErrorDetails]) -> str:
    """One of the errors, by its full key; unknown keys first, for they may be why others miss."""
    error = min(errors, key=lambda one: one["type"] != "extra_forbidden")
    path = [str(part) for part in error["loc"]]
    if path[-1] == "[key]":
        return unknown_key(path[:-1])
    if error["type"] == "extra_forbidden":
        return unknown_key(path)
    if error["type"] == "missing":
        return f"Setting '{'.'.join(path)}' is missing."
    what = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"Setting '{'.'.join(path)}' is wrong: it {what} (given: {error['input']!r})."
