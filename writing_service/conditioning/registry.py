"""Named methods of one kind, in the order in which they were registered."""

import inspect
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from writing_service.errors import ConfigurationError, MethodUnavailable, UnknownMethod
from writing_service.types import ConditioningKind, RenderedWord

Method = Callable[..., Image.Image]
"""`method(glyph: RenderedWord, *, option: number = default, ...)` → a picture of the glyph's size,
mode L or RGB. A method that takes `seed` is given the request's, one that takes `style` its name."""

Numbers = Mapping[str, int | float]
"""Values for a method's options."""

SEED, STYLE = "seed", "style"
_OPTIONS_KEY = "ai_generation.conditioning.options"


class LearnedMethod(Protocol):
    """A method that is a network: loaded once, at its first use."""

    @property
    def kind(self) -> ConditioningKind:
        """What it draws."""
        ...

    @property
    def name(self) -> str:
        """Its public name."""
        ...

    @property
    def model(self) -> str:
        """The network's id or folder, for the metadata."""
        ...

    @property
    def by_chance(self) -> bool:
        """Whether it is quick enough on this device for chance to choose it."""
        ...

    def missing(self) -> str | None:
        """What keeps it from being used, as the end of a sentence ("needs the gpu extra: ..."); None
        when nothing does. Quick, and loads nothing."""
        ...

    def draw(self, glyph: RenderedWord) -> Image.Image:
        """As `Method`."""
        ...


@dataclass(frozen=True)
class _Entry:
    """A method and what it suits; None is everything."""

    method: Method
    styles: frozenset[str] | None = None
    scripts: frozenset[str] | None = None
    learned: LearnedMethod | None = None

    def suits(self, style: str, script: str) -> bool:
        quick = self.learned is None or self.learned.by_chance
        by_style = self.styles is None or style in self.styles
        return quick and by_style and (self.scripts is None or script in self.scripts)


@dataclass(frozen=True)
class MethodAbout:
    """A method for people: what it does in one sentence, its options and what they are when nobody says.

    `missing` is what it needs where it cannot be used here, as the end of a sentence.
    """

    kind: ConditioningKind
    name: str
    about: str
    options: Numbers
    missing: str | None = None


class MethodRegistry:
    """The methods of a kind by their public names."""

    def __init__(self, kind: ConditioningKind) -> None:
        self.kind = kind
        self._entries: dict[str, _Entry] = {}

    def register(self, method: Method) -> Method:
        """Decorator; the function's name becomes the public one. Chance may choose it for any word."""
        self._add(method.__name__, _Entry(method))
        return method

    def register_for(
        self, *, styles: Collection[str] | None = None, scripts: Collection[str] | None = None
    ) -> Callable[[Method], Method]:
        """The same for a method that chance may choose only for these styles and scripts; None is any.

        Who asks for it by name always gets it.
        """

        def add(method: Method) -> Method:
            entry = _Entry(method, _set(styles), _set(scripts))
            self._add(method.__name__, entry)
            return method

        return add

    def with_learned(self, methods: Iterable[LearnedMethod]) -> "MethodRegistry":
        """A copy that has these too, after its own."""
        copy = MethodRegistry(self.kind)
        copy._entries = dict(self._entries)
        for method in methods:
            copy._add(method.name, _Entry(method.draw, learned=method))
        return copy

    def names(self) -> tuple[str, ...]:
        """All methods that can be used here."""
        return tuple(name for name in self._entries if self._missing(name) is None)

    def suiting(self, style: str, script: str) -> tuple[str, ...]:
        """Usable methods among which chance may choose; never none."""
        names = self.names()
        return tuple(name for name in names if self._entries[name].suits(style, script)) or names

    def get(self, name: str) -> Method:
        """Raises UnknownMethod, which lists the usable ones, and MethodUnavailable."""
        if name not in self._entries:
            raise UnknownMethod(self.kind, name, self.names())
        if missing := self._missing(name):
            raise MethodUnavailable(self.kind, name, missing)
        return self._entries[name].method

    def model_of(self, name: str) -> str | None:
        """The network behind a learned method; None for all others."""
        learned = self._entries[name].learned
        return learned.model if learned else None

    def missing(self) -> dict[str, str]:
        """Methods that cannot be used here, and what each needs."""
        needs = {name: self._missing(name) for name in self._entries}
        return {name: need for name, need in needs.items() if need}

    def catalogue(self) -> list[MethodAbout]:
        """All methods of the kind, learned ones too."""
        return [self._about(name, entry) for name, entry in self._entries.items()]

    def settle(self, name: str, numbers: Numbers) -> Numbers:
        """`numbers` in the types of the method's defaults.

        Raises ConfigurationError for an option that the method does not have, and for a value that
        is negative, not finite, or broken where the default is whole.
        """
        defaults = self._defaults(name)
        for option in numbers:
            if option not in defaults:
                known = ", ".join(defaults) or "no options"
                raise ConfigurationError(
                    f"'{_OPTIONS_KEY}.{name}.{option}' is unknown; '{name}' has: {known}."
                )
        return {
            option: _fitting(f"{_OPTIONS_KEY}.{name}.{option}", value, defaults[option])
            for option, value in numbers.items()
        }

    def takes(self, name: str, parameter: str) -> bool:
        """Whether the method wants to know that of the request (`SEED`, `STYLE`)."""
        return parameter in inspect.signature(self._entries[name].method).parameters

    def _add(self, name: str, entry: _Entry) -> None:
        assert name not in self._entries, f"two {self.kind} methods are named '{name}'"
        self._entries[name] = entry

    def _about(self, name: str, entry: _Entry) -> MethodAbout:
        text = " ".join((inspect.getdoc(entry.method) or "").partition("\n\n")[0].split())
        options = {} if entry.learned else self._defaults(name)
        return MethodAbout(self.kind, name, text, options, self._missing(name))

    def _missing(self, name: str) -> str | None:
        learned = self._entries[name].learned
        return learned.missing() if learned else None

    def _defaults(self, name: str) -> Numbers:
        parameters = inspect.signature(self._entries[name].method).parameters.values()
        return {
            parameter.name: parameter.default
            for parameter in parameters
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
            and parameter.name not in (SEED, STYLE)
        }


def _set(names: Collection[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


def _fitting(key: str, value: int | float, default: int | float) -> int | float:
    if not math.isfinite(value) or value < 0:
        raise ConfigurationError(f"'{key}' is {value}; it must be a number of 0 or more.")
    if isinstance(default, float):
        return float(value)
    if value != int(value):
        raise ConfigurationError(f"'{key}' is {value}; it must be a whole number.")
    return int(value)
