"""Which keys there are, and which of them a mistyped one may mean."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from writing_service.config.settings import Settings
from writing_service.types import ConditioningKind


def known_keys() -> list[str]:
    """Every key that an override may set, parents before their children."""
    return ["pipeline", *_all_keys(Settings)]


def unknown_key(path: Sequence[str]) -> str:
    """The sentence for a key that there is not."""
    near = _nearest(path)
    known = _keys_at(path[:-1]) or _keys_at(())
    hint = f"did you mean '{near}'?" if near else f"known here: {', '.join(known)}."
    return f"Unknown setting '{'.'.join(path)}'; {hint}"


def _nearest(path: Sequence[str]) -> str | None:
    """A sibling like it, else the same name elsewhere, else, of a lost path, the likest key."""
    *parents, name = path
    siblings = _keys_at(parents)
    for sibling in difflib.get_close_matches(name, siblings, 1):
        return ".".join((*parents, sibling))
    everything = list(_all_keys(Settings))
    whole = ".".join(path)
    same = [key for tail in (whole, name) for key in everything if key.endswith(f".{tail}")]
    if same or (parents and siblings):
        return next(iter(same), None)
    return next(iter(difflib.get_close_matches(whole, everything, 1)), None)


def _keys_at(path: Sequence[str]) -> list[str]:
    """Names that may stand under `path`; none where it leads nowhere."""
    if not path:
        return ["pipeline", *Settings.model_fields]
    node: Any = Settings
    for part in path:
        node = dict(_children(node)).get(part) or (
            get_args(node)[1] if get_origin(node) is dict else None
        )
    return [name for name, _ in _children(node)]


def _all_keys(node: Any) -> Iterator[str]:
    for name, child in _children(node):
        yield name
        yield from (f"{name}.{key}" for key in _all_keys(child))


def _children(node: Any) -> list[tuple[str, Any]]:
    """Named parts of a slice or of a mapping by kind."""
    if isinstance(node, type) and issubclass(node, BaseModel):
        return [(name, field.annotation) for name, field in node.model_fields.items()]
    if get_origin(node) in (dict, Mapping) and get_args(node)[0] is ConditioningKind:
        return [(kind.value, get_args(node)[1]) for kind in ConditioningKind]
    return []
