"""Named methods of one kind, in the order in which they were registered."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image

from writing_service.errors import ConfigurationError, UnknownMethod
from writing_service.types import ConditioningKind

Method = Callable[..., Image.Image]
"""`method(glyph: RenderedWord, *, option: number = default, ...)` → a picture of the glyph's size, mode L or RGB.

A method that takes `seed` is given the request's.
"""

SEED = "seed"


class MethodRegistry:
    """The methods of a kind by their public names."""

    def __init__(self, kind: ConditioningKind) -> None:
        self.kind = kind
        self._methods: dict[str, Method] = {}

    def register(self, method: Method) -> Method:
        """Decorator; the function's name becomes the public one."""
        self._methods[method.__name__] = method
        return method

    def names(self) -> tuple[str, ...]:
        """All methods."""
        return tuple(self._methods)

    def get(self, name: str) -> Method:
        """Raises UnknownMethod, which lists the known ones."""
        if name not in self._methods:
            raise UnknownMethod(self.kind, name, self._methods)
        return self._methods[name]

    def check_options(self, name: str, options: Mapping[str, Any]) -> None:
        """Raises ConfigurationError for an option that the method does not have."""
        known = [option for option in _options(self.get(name)) if option != SEED]
        for option in options:
            if option not in known:
                key = f"ai_generation.conditioning.options.{name}.{option}"
                raise ConfigurationError(f"'{key}' is unknown; '{name}' has: {', '.join(known) or 'no options'}.")

    def takes_seed(self, name: str) -> bool:
        """Whether the method draws by chance."""
        return SEED in _options(self.get(name))


def _options(method: Method) -> list[str]:
    parameters = inspect.signature(method).parameters.values()
    return [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
