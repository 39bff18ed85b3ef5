"""API keys: where they come from, and whose one is. Only hashes are kept; `key_check.py` asks requests for them."""

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Iterator, Mapping

from writing_service.config import ApiSettings
from writing_service.errors import ConfigurationError

ENVIRONMENT = "WRITING_SERVICE_API_KEYS"
"""Plain keys, `name=key,name=key`."""

_SHORTEST = 16


class ApiKeys:
    """The keys that are let in, by name. False where there are none: then everyone is."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        """`hashes` are "sha256:..." or "sha512:...", hexadecimal."""
        self._digests = {name: _parsed(value) for name, value in hashes.items()}

    def __bool__(self) -> bool:
        return bool(self._digests)

    def owner(self, key: bytes) -> str | None:
        """The name of the key. Takes as long for any key."""
        found = None
        for name, (algorithm, digest) in self._digests.items():
            if hmac.compare_digest(hashlib.new(algorithm, key).digest(), digest):
                found = name
        return found


def keys_of(settings: ApiSettings, environment: Mapping[str, str]) -> ApiKeys:
    """Those of the configuration and of the environment. Raises ConfigurationError, which tells no key."""
    plain = dict(_plain_keys(environment.get(ENVIRONMENT, "")))
    if twice := set(plain) & set(settings.keys):
        raise ConfigurationError(
            f"The API key '{min(twice)}' is both in api.keys and in {ENVIRONMENT}; leave out one."
        )
    return ApiKeys({**settings.keys, **{name: hash_of(key) for name, key in plain.items()}})


def new_key() -> str:
    """256 random bits, as text for a header."""
    return secrets.token_urlsafe(32)


def hash_of(key: str) -> str:
    """As `api.keys` takes it. The keys are random, so a quick hash is as good as a slow one."""
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def check_exposure(settings: ApiSettings, keys: ApiKeys) -> None:
    """Raises ConfigurationError where other machines could reach a service that asks nobody for a key."""
    if keys or settings.serve_without_keys or _is_loopback(settings.host):
        return
    raise ConfigurationError(
        f"api.host={settings.host} opens the service to other machines, but there are no API keys: set "
        f"{ENVIRONMENT} or api.keys (`writing-service key NAME` makes one), or, where something else "
        "guards it, api.serve_without_keys=true."
    )


def _plain_keys(text: str) -> Iterator[tuple[str, str]]:
    for one in filter(None, (part.strip() for part in text.split(","))):
        name, separator, key = (part.strip() for part in one.partition("="))
        if not separator or not name or len(key) < _SHORTEST:
            raise ConfigurationError(
                f"{ENVIRONMENT} must be name=key,name=key, with keys of {_SHORTEST} characters or more; "
                "`writing-service key NAME` makes one."
            )
        yield name, key


def _parsed(value: str) -> tuple[str, bytes]:
    algorithm, _, digest = value.partition(":")
    return algorithm, bytes.fromhex(digest)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
