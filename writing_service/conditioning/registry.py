"""Named methods of one kind, in the order in which they were registered."""

import inspect
import math
from collections.abc import Callable, Mapping

from PIL import Image

from writing_service.errors import ConfigurationError, UnknownMethod
from writing_service.types import ConditioningKind

Method = Callable[..., Image.Image]
"""`method(glyph: RenderedWord, *, option: number = default, ...)` → a picture of the glyph's size,
mode L or RGB. A method that takes `seed` is given the request's."""

Numbers = Mapping[str, int | float]
"""Values for a method's options."""

SEED = "seed"
_OPTIONS_KEY = "ai_generation.conditioning.options"


class MethodRegistry:
    """The methods of a kind by their public names."""

    def __init__(self, kind: ConditioningKind) -> None:
        self.kind = kind
        self._methods: dict[str, Method] = {}

    def register(self, method: Method) -> Method:
        """Decorator; the function's name becomes the public one."""
        name = method.__name__
        assert name not in self._methods, f"two {self.kind} methods are named '{name}'"
        self._methods[name] = method
        return method

    def names(self) -> tuple[str, ...]:
        """All methods."""
        return tuple(self._methods)

    def get(self, name: str) -> Method:
        """Raises UnknownMethod, which lists the known ones."""
        if name not in self._methods:
            raise UnknownMethod(self.kind, name, self._methods)
        return self._methods[name]

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

    def takes_seed(self, name: str) -> bool:
        """Whether the method draws by chance."""
        return SEED in inspect.signature(self.get(name)).parameters

    def _defaults(self, name: str) -> Numbers:
        parameters = inspect.signature(self.get(name)).parameters.values()
        return {
            parameter.name: parameter.default
            for parameter in parameters
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.name != SEED
        }


def _fitting(key: str, value: int | float, default: int | float) -> int | float:
    if not math.isfinite(value) or value < 0:
        raise ConfigurationError(f"'{key}' is {value}; it must be a number of 0 or more.")
    if isinstance(default, float):
        return float(value)
    if value != int(value):
        raise ConfigurationError(f"'{key}' is {value}; it must be a whole number.")
    return int(value)
