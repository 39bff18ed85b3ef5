"""What settings are made of: slices, and values that are checked."""

import ipaddress
import re
from typing import Annotated, Literal

import limits
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _whole_if_possible(value: float) -> float:
    return int(value) if value.is_integer() else value


def _device(value: str) -> str:
    kind, colon, index = value.partition(":")
    if value in ("auto", "cpu") or (kind == "cuda" and (index.isdecimal() or not colon)):
        return value
    raise ValueError("must be auto, cpu, cuda or cuda:N")


def _window(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] < value[1]:
        return value
    raise ValueError("must begin before it ends")


def _rate_limit(value: str) -> str:
    try:
        limits.parse_many(value)
    except ValueError:
        raise ValueError("must be such as 30/minute or 5/second;500/day") from None
    return value


def _key_hash(value: str) -> str:
    algorithm, _, digest = value.partition(":")
    length = {"sha256": 64, "sha512": 128}.get(algorithm)
    if length and re.fullmatch(f"[0-9a-f]{{{length}}}", digest):
        return value
    raise ValueError("must be sha256: or sha512: and the hexadecimal hash, not the key itself")


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        raise ValueError("must be an address or a network, such as 10.0.0.0/8") from None
    return value


def _origin(value: str) -> str:
    if re.fullmatch(r"https?://[\w.:\[\]-]+", value):
        return value
    raise ValueError("must be an origin, such as https://example.org, without a path")


def _template(value: str) -> str:
    holds = set(re.findall(r"\{(.*?)\}", value))
    if unknown := holds - {"meaning", "word_kind", "character"}:
        raise ValueError(
            f"must not hold {{{min(unknown)}}}, only {{meaning}}, {{word_kind}} and {{character}}"
        )
    if "meaning" not in holds:
        raise ValueError("must hold {meaning}, in whose place comes what the picture shows")
    return value


LARGEST_SIDE = 2048
Side = Annotated[int, Field(ge=100, le=LARGEST_SIDE)]
Steps = Annotated[int, Field(ge=1, le=150)]
Guidance = Annotated[float, Field(ge=0, le=30)]
LARGEST_WEIGHT = 2.0
Weight = Annotated[float, Field(ge=0, le=LARGEST_WEIGHT)]
Number = Annotated[float, AfterValidator(_whole_if_possible)]
Fraction = Annotated[float, Field(ge=0, le=1)]
DeviceName = Annotated[str, AfterValidator(_device)]
Template = Annotated[str, AfterValidator(_template)]
WindowFractions = Annotated[tuple[Fraction, Fraction], AfterValidator(_window)]
RateLimit = Annotated[str, AfterValidator(_rate_limit)]
KeyHash = Annotated[str, AfterValidator(_key_hash)]
Network = Annotated[str, AfterValidator(_network)]
Origin = Annotated[str, AfterValidator(_origin)]
Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]


class Slice(BaseModel):
    """A part of the settings: frozen, and strict about its keys.

    docs/configuration.md is made from the texts under classes and fields (scripts/configuration_doc.py).
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )
