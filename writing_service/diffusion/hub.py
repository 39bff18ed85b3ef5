"""Models by their id on the Hugging Face hub: from the cache where they are whole, else fetched."""

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import huggingface_hub
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from writing_service.diffusion.weights import choose_weights
from writing_service.errors import ModelsUnavailable

logger = logging.getLogger(__name__)

INSTEAD_OF = {
    "diffusers/controlnet-seg-sdxl-1.0": "SargeZT/sdxl-controlnet-seg",
    "diffusers/controlnet-scribble-sdxl-1.0": "xinsir/controlnet-scribble-sdxl-1.0",
}
"""Ids that guides name although the hub has no such model, and ones that work."""

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")


@dataclass(frozen=True)
class HubModel:
    """A repository and which of its folders are wanted; "" is the repository itself."""

    id: str
    revision: str | None = None
    variant: str | None = None
    folders: tuple[str, ...] = ("",)


def model_at(
    source: str,
    revision: str | None = None,
    variant: str | None = None,
    folders: tuple[str, ...] = ("",),
) -> Path | HubModel:
    """A folder if `source` is one or looks like one; else an id."""
    path = Path(source).expanduser()
    if path.is_dir() or not _HUB_ID.fullmatch(source):
        return path
    return HubModel(source, revision, variant, folders)


class ModelHub(Protocol):
    """Where ids lead."""

    def cached(self, model: HubModel) -> Path | None:
        """The folder of what was fetched before, whole or not."""
        ...

    def fetch(self, model: HubModel) -> Path:
        """The folder with everything that `model` wants. Raises ModelsUnavailable."""
        ...

    def obstacle(self, model: HubModel) -> str | None:
        """Why `fetch` cannot work, as far as one can tell without asking the network."""
        ...


class HuggingFaceHub:
    """The hub itself. `cache` None is the library's own folder (HF_HOME)."""

    def __init__(self, cache: str | None = None) -> None:
        self._cache = cache

    def cached(self, model: HubModel) -> Path | None:
        """See ModelHub."""
        try:
            found = huggingface_hub.snapshot_download(
                model.id, revision=model.revision, cache_dir=self._cache, local_files_only=True
            )
        except (LocalEntryNotFoundError, OfflineModeIsEnabled, HFValidationError):
            return None
        return Path(found)

    def fetch(self, model: HubModel) -> Path:
        """See ModelHub."""
        if obstacle := self.obstacle(model):
            raise ModelsUnavailable(f"{obstacle}.")
        try:
            return self._fetch(model)
        except (GatedRepoError, RepositoryNotFoundError):
            reason = "does not exist there or needs an access token (HF_TOKEN)"
        except RevisionNotFoundError:
            reason = f"has no revision '{model.revision}'"
        except OSError as error:
            # The hub's own answers and a full disk alike.
            answered = isinstance(error, HfHubHTTPError)
            reason = "is refused at the moment" if answered else f"cannot be stored ({error})"
        except Exception as error:
            # Whatever HTTP client the library uses today: its errors share no base with ours.
            reason = f"cannot be fetched, for the hub is not reachable ({type(error).__name__})"
        raise ModelsUnavailable(f"Model '{model.id}' of the Hugging Face hub {reason}.")

    def obstacle(self, model: HubModel) -> str | None:
        """See ModelHub."""
        if instead := INSTEAD_OF.get(model.id):
            return (
                f"The Hugging Face hub has no model '{model.id}', whatever guides say; "
                f"use '{instead}' instead"
            )
        if huggingface_hub.is_offline_mode():
            return f"Model '{model.id}' is not in the cache and HF_HUB_OFFLINE forbids to fetch it"
        return None

    def _fetch(self, model: HubModel) -> Path:
        api = huggingface_hub.HfApi()
        listing: Any = api.model_info(model.id, revision=model.revision)
        files = choose_files([one.rfilename for one in listing.siblings or ()], model)
        logger.info("Loading %d files of %s from the hub", len(files), model.id)
        return Path(
            huggingface_hub.snapshot_download(
                model.id, revision=model.revision, cache_dir=self._cache, allow_patterns=files
            )
        )


def choose_files(names: Iterable[str], model: HubModel) -> list[str]:
    """Of a repository's files: configurations, and one set of weights for each wanted folder."""
    by_folder: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        folder, _, file = name.rpartition("/")
        by_folder[folder].append(file)
    return [
        f"{folder}/{file}".lstrip("/")
        for folder in ("", *(one for one in model.folders if one))
        for file in _wanted(by_folder[folder], model.variant, folder in model.folders)
    ]


def _wanted(files: Sequence[str], variant: str | None, weights: bool) -> list[str]:
    texts = [file for file in files if file.endswith((".json", ".txt"))]
    return texts + (choose_weights(files, variant) if weights else [])
