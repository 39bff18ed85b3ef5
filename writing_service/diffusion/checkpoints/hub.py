"""Models by their id on the Hugging Face hub: from the cache where they are whole, else fetched."""

import hashlib
import logging
import os
import re
from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import huggingface_hub
from huggingface_hub.constants import HF_HUB_CACHE
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from writing_service.config import CacheSettings
from writing_service.diffusion.checkpoints.known_models import INSTEAD_OF
from writing_service.diffusion.checkpoints.weights import PICKLES, choose_weights, damage
from writing_service.errors import ConfigurationError, ModelNotFound, ModelsUnavailable

logger = logging.getLogger(__name__)

_FILE = "|".join(re.escape(ending) for ending in (".safetensors", *sorted(PICKLES)))
_HUB_SOURCE = re.compile(
    r"(?P<id>[\w-][\w.-]*/[\w.-]+?)(@(?P<revision>refs/pr/\d+|[\w.-]+))?"
    rf"(/(?P<file>[^@:]+({_FILE})))?"
)
_GIT_SHA1, _SHA256 = 40, 64
"""Lengths of the hub's names for contents: git's of small files, SHA-256 of large ones."""


@dataclass(frozen=True)
class HubModel:
    """A repository and what is wanted of it.

    `folders` are those whose weights are wanted; "" is the repository itself. With `file` it is that one
    file of weights, and the texts beside it. Without `weights`, `folders` are wanted for their texts.
    """

    id: str
    revision: str | None = None
    variant: str | None = None
    folders: tuple[str, ...] = ("",)
    file: str | None = None
    weights: bool = True

    def within(self, folder: Path) -> Path:
        """The wanted file, else the whole, in a copy of the repository."""
        return folder / self.file if self.file else folder


def model_at(
    source: str,
    revision: str | None = None,
    variant: str | None = None,
    folders: tuple[str, ...] = ("",),
) -> Path | HubModel:
    """A folder or file if `source` is one or looks like one; else what it names on the hub.

    That is owner/name, then perhaps @ and a revision, then perhaps / and a file of weights:
    "some/model@v1/model.safetensors".
    """
    # os.path takes any text, where pathlib raises for some.
    path = os.path.expanduser(source)  # noqa: PTH111
    found = _HUB_SOURCE.fullmatch(source)
    if os.path.exists(path) or not found:  # noqa: PTH110
        return Path(path)
    revision = found["revision"] or revision
    if found["file"]:
        return HubModel(found["id"], revision, folders=(), file=found["file"])
    return HubModel(found["id"], revision, variant, folders)


class ModelHub(Protocol):
    """Where ids lead."""

    @property
    def folder(self) -> Path:
        """Where what is fetched is kept."""
        ...

    def cached(self, model: HubModel) -> Path | None:
        """What was fetched before, whole or not: the folder, or the file if `model` is one."""
        ...

    def missing_bytes(self, model: HubModel) -> int:
        """That `fetch` would bring. Asks the network. Raises as `fetch`."""
        ...

    def fetch(self, model: HubModel) -> Path:
        """The folder, or file, with everything that `model` wants.

        Raises ModelNotFound where there is no such model, ModelsUnavailable where it cannot be had.
        """
        ...

    def discard_damaged(self, model: HubModel) -> int:
        """Remove from the cache what is not what the hub published; how many files that were."""
        ...

    def obstacle(self, model: HubModel) -> str | None:
        """Why `fetch` cannot work, as far as one can tell without asking the network."""
        ...


class HuggingFaceHub:
    """The hub itself. `cache` None is the library's own folder (HF_HOME), `endpoint` None its own address."""

    def __init__(self, cache: str | None = None, endpoint: str | None = None) -> None:
        self._cache = cache
        self._endpoint = endpoint

    @property
    def folder(self) -> Path:
        """See ModelHub."""
        return Path(self._cache or HF_HUB_CACHE)

    def cached(self, model: HubModel) -> Path | None:
        """See ModelHub."""
        folder = self._snapshot(model)
        found = folder and model.within(folder)
        return found if found and found.exists() else None

    def missing_bytes(self, model: HubModel) -> int:
        """See ModelHub."""
        with self._told(model):
            plan: Any = self._download(model, dry_run=True)
        return sum(one.file_size or 0 for one in plan if one.will_download)

    def fetch(self, model: HubModel) -> Path:
        """See ModelHub."""
        with self._told(model):
            return model.within(Path(self._download(model)))

    def discard_damaged(self, model: HubModel) -> int:
        """See ModelHub."""
        folder = self._snapshot(model)
        files = [path for path in folder.rglob("*") if path.is_file()] if folder else []
        damaged = [path for path in files if not _as_published(path)]
        for path in damaged:
            logger.warning("Removing %s from the cache: it is not what the hub published", path)
            # Equal files share a blob, and where there are no links, a file is its own.
            path.resolve().unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        return len(damaged)

    def obstacle(self, model: HubModel) -> str | None:
        """See ModelHub."""
        if instead := INSTEAD_OF.get(model.id):
            return (
                f"The Hugging Face hub has no model '{model.id}', whatever guides say; "
                f"use '{instead}' instead"
            )
        if huggingface_hub.is_offline_mode():
            return f"Model '{model.id}' is not whole in the cache and HF_HUB_OFFLINE forbids to fetch it"
        return None

    def _snapshot(self, model: HubModel) -> Path | None:
        """The revision's folder in the cache."""
        try:
            found = huggingface_hub.snapshot_download(
                model.id,
                revision=model.revision,
                cache_dir=self._cache,
                local_files_only=True,
                # Which files must be there is for the caller to say: the library would ask for all.
                allow_patterns=[],
            )
        except (LocalEntryNotFoundError, OfflineModeIsEnabled, HFValidationError):
            return None
        return Path(found)

    def _download(self, model: HubModel, dry_run: bool = False) -> Any:
        api = huggingface_hub.HfApi(endpoint=self._endpoint)
        listing: Any = api.model_info(model.id, revision=model.revision)
        files = choose_files([one.rfilename for one in listing.siblings or ()], model)
        if model.file and model.file not in files:
            raise ModelNotFound(
                f"Model '{model.id}' of the Hugging Face hub has no file '{model.file}'."
            )
        return huggingface_hub.snapshot_download(
            model.id,
            revision=listing.sha if dry_run else model.revision,
            cache_dir=self._cache,
            allow_patterns=files,
            endpoint=self._endpoint,
            dry_run=dry_run,
        )

    @contextmanager
    def _told(self, model: HubModel) -> Generator[None]:
        """Any of the library's errors as one sentence."""
        if obstacle := self.obstacle(model):
            kind = ModelNotFound if model.id in INSTEAD_OF else ModelsUnavailable
            raise kind(f"{obstacle}.")
        who = f"Model '{model.id}' of the Hugging Face hub"
        try:
            yield
        except ModelsUnavailable:
            raise
        except (GatedRepoError, RepositoryNotFoundError):
            reason = "does not exist there or needs an access token (HF_TOKEN)"
            raise ModelNotFound(f"{who} {reason}.") from None
        except RevisionNotFoundError:
            raise ModelNotFound(f"{who} has no revision '{model.revision}'.") from None
        except OSError as error:
            # The hub's own answers and a full disk alike.
            answered = isinstance(error, HfHubHTTPError)
            reason = "is refused at the moment" if answered else f"cannot be stored ({error})"
            raise ModelsUnavailable(f"{who} {reason}.") from error
        except Exception as error:
            # Whatever HTTP client the library uses today: its errors share no base with ours.
            reason = f"cannot be fetched, for the hub is not reachable ({type(error).__name__})"
            raise ModelsUnavailable(f"{who} {reason}.") from error


def create_cache_folders(settings: CacheSettings) -> None:
    """Those that the settings or the environment name. Raises ConfigurationError."""
    named = {
        "setting 'ai_generation.cache.huggingface'": settings.huggingface,
        "setting 'ai_generation.cache.torch'": settings.torch,
        "environment variable HF_HOME": os.environ.get("HF_HOME"),
        "environment variable TORCH_HOME": os.environ.get("TORCH_HOME"),
    }
    for name, folder in named.items():
        try:
            if folder:
                Path(folder).expanduser().mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = f"The {name} is wrong: {folder} cannot be made ({error.strerror})."
            raise ConfigurationError(message) from None


def choose_files(names: Iterable[str], model: HubModel) -> list[str]:
    """Of a repository's files: configurations, and one set of weights for each wanted folder."""
    by_folder: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        folder, _, file = name.rpartition("/")
        by_folder[folder].append(file)
    chosen = [
        f"{folder}/{file}".lstrip("/")
        for folder in ("", *(one for one in model.folders if one))
        for file in _wanted(by_folder[folder], model, folder in model.folders)
    ]
    folder, _, file = (model.file or "").rpartition("/")
    return [*chosen, model.file] if model.file and file in by_folder[folder] else chosen


def _wanted(files: Sequence[str], model: HubModel, listed: bool) -> list[str]:
    texts = [file for file in files if file.endswith((".json", ".txt"))]
    return texts + (choose_weights(files, model.variant) if listed and model.weights else [])


def _as_published(path: Path) -> bool:
    """By the content's name, which is its digest; without one, by the file's head."""
    blob = path.resolve()
    digest = _DIGESTS.get(len(blob.name))
    if digest is None or not re.fullmatch("[0-9a-f]+", blob.name):
        return damage(path) is None
    return digest(blob) == blob.name


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git_sha1(path: Path) -> str:
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


_DIGESTS = {_GIT_SHA1: _git_sha1, _SHA256: _sha256}
