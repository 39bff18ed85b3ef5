"""Every error that the service raises on purpose.

    WritingServiceError
    ├── ConfigurationError        the settings are wrong; the start ends
    ├── InvalidRequest            the client can mend it (422)
    │   ├── UndrawableText        no font draws some of its characters
    │   ├── UnknownMethod         no conditioning method of that name
    │   ├── MethodUnavailable     its packages or weights are missing here
    │   ├── UnknownPictogram      no concept of that name
    │   └── BlockedWord           the operator does not want it drawn
    ├── UnknownModel              no model of that name is served (404)
    ├── ServiceUnavailable        try again later (503)
    │   ├── ModelsUnavailable     the models are missing, corrupt or of the wrong kind
    │   │   └── ModelNotFound     the hub has no such model, revision or file
    │   ├── QueueFull
    │   └── StoreUnavailable      the jobs' database cannot be reached or written
    ├── JobNotFound               unknown, or kept no longer (404)
    ├── DeadlinePassed            the time for the request is over (504)
    ├── ClientGone                nobody waits for the answer any more (499, which nobody reads)
    └── GenerationFailed          drawing failed for a reason of our own (500)
        └── ReplicasDied          whoever drew it died, twice

Each message is one sentence that a person can act on. `api/problems.py` turns them into HTTP answers.
"""

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import regex


@dataclass(frozen=True)
class FieldError:
    """One field of a request and what is wrong with it."""

    field: str
    message: str


class WritingServiceError(Exception):
    """Root of the tree; `str(error)` is the sentence for people."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors travel between processes as they are, not made anew: they are not made from their sentence."""
        return _as_it_was, (type(self), self.args, self.__dict__)


class ConfigurationError(WritingServiceError):
    """The settings are wrong; the message names the key."""


class InvalidRequest(WritingServiceError):
    """A request that its sender can mend. `fields` says where."""

    def __init__(self, message: str, fields: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.fields = tuple(fields)


class UndrawableText(InvalidRequest):
    """No font at hand draws these characters."""

    def __init__(self, characters: Iterable[str]) -> None:
        self.characters = tuple(dict.fromkeys(characters))
        names = ", ".join(_describe(character) for character in self.characters)
        message = f"No font here can draw {names}; remove it or put a font that has it into the fonts folder."
        super().__init__(message, [FieldError("word", message)])


class UnknownMethod(InvalidRequest):
    """No conditioning method of that name for that kind."""

    def __init__(self, kind: str, method: str, known: Iterable[str]) -> None:
        message = f"Unknown {kind} method '{method}'; choose one of: {', '.join(known)}."
        super().__init__(message, [FieldError(f"conditioning_methods.{kind}", message)])


class MethodUnavailable(InvalidRequest):
    """A learned method whose packages or weights are missing; `missing` says what it needs."""

    def __init__(self, kind: str, method: str, missing: str) -> None:
        message = f"The {kind} method '{method}' {missing}."
        super().__init__(message, [FieldError(f"conditioning_methods.{kind}", message)])


class UnknownPictogram(InvalidRequest):
    """No pictogram of that name; `similar` are names that come near."""

    def __init__(self, name: str, similar: Iterable[str] = ()) -> None:
        near = ", ".join(similar)
        hint = f"; did you mean {near}?" if near else "; use 'auto', 'off' or a concept's name."
        message = f"Unknown pictogram '{name}'{hint}"
        super().__init__(message, [FieldError("pictogram", message)])


class BlockedWord(InvalidRequest):
    """The operator does not want this word drawn."""

    def __init__(self, field: str, word: str) -> None:
        message = (
            f"Field '{field}' holds '{word}', which this service does not draw; use other words."
        )
        super().__init__(message, [FieldError(field, message)])


class UnknownModel(WritingServiceError):
    """No model of that name is served here; `known` are those that are."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"There is no model '{name}' here; there are: {', '.join(known)}.")


class ServiceUnavailable(WritingServiceError):
    """The service cannot take this now. `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: float = 30.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ModelsUnavailable(ServiceUnavailable):
    """The models are missing, corrupt or of the wrong kind."""


class ModelNotFound(ModelsUnavailable):
    """The hub has no model, revision or file of that name."""


class QueueFull(ServiceUnavailable):
    """As many requests wait as the configuration allows."""


class StoreUnavailable(ServiceUnavailable):
    """The database that keeps the jobs cannot be reached, read or written."""


class JobNotFound(WritingServiceError):
    """No job of that id, or it was kept as long as the configuration says."""


class ShuttingDown(ServiceUnavailable):
    """The service is about to end: it draws no more."""

    def __init__(self) -> None:
        super().__init__("The service is shutting down and draws no more pictures.")


class DeadlinePassed(WritingServiceError):
    """The time allowed for the request is over; its work was dropped."""


class ClientGone(WritingServiceError):
    """Whoever asked has closed the connection; the work was dropped."""


class GenerationFailed(WritingServiceError):
    """Drawing failed for a reason that the client cannot mend."""


class ReplicasDied(GenerationFailed):
    """Two replicas died while they drew one picture: it may well be what kills them."""

    def __init__(self) -> None:
        super().__init__(
            "Two replicas died while they drew this picture, so it is not given to a third."
        )


def _as_it_was(
    kind: type[WritingServiceError], args: tuple[Any, ...], state: dict[str, Any]
) -> WritingServiceError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


def _describe(character: str) -> str:
    point = f"U+{ord(character):04X}"
    if name := unicodedata.name(character, ""):
        return f"'{character}' ({point} {name})"
    return f"{point} ({_unnamed(character)})"


def _unnamed(character: str) -> str:
    """What kind of code point has no name; Python's own tables may be older than the character."""
    for kind, told in _NAMELESS.items():
        if regex.match(kind, character):
            return told
    return "a character newer than the names at hand"


_NAMELESS = {
    r"\p{Noncharacter_Code_Point}": "no character, by definition",
    r"\p{Co}": "private use",
    r"\p{Cn}": "unassigned",
    r"\p{Cc}": "control character",
}
