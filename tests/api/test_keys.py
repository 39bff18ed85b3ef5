"""API keys: where they come from, whose one is, and a start that would leave the door open."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writing_service.api.keys import (
    ENVIRONMENT,
    ApiKeys,
    check_exposure,
    hash_of,
    keys_of,
    new_key,
)
from writing_service.config import ApiSettings, load_settings
from writing_service.errors import ConfigurationError

KEY = "a-key-for-tests-only"


def api(*overrides: str) -> ApiSettings:
    return load_settings(overrides).api


def test_a_new_key_is_let_in_by_its_hash():
    key = new_key()
    keys = keys_of(api(f'api.keys.bot="{hash_of(key)}"'), {})
    assert keys.owner(key.encode()) == "bot"
    assert len({new_key() for _ in range(50)}) == 50
    assert all(one.isascii() and "=" not in one and "," not in one for one in (key,))


def test_keys_come_from_the_environment_too():
    keys = keys_of(api(), {ENVIRONMENT: f" bot={KEY} , monitor={KEY}2,"})
    assert keys.owner(KEY.encode()) == "bot"
    assert keys.owner(f"{KEY}2".encode()) == "monitor"


def test_without_keys_there_are_none():
    assert not keys_of(api(), {})
    assert ApiKeys({}).owner(b"") is None


@given(st.binary(max_size=80))
def test_no_other_key_is_anyones(key: bytes):
    keys = ApiKeys({"bot": hash_of(KEY)})
    assert (keys.owner(key) == "bot") == (key == KEY.encode())


@pytest.mark.parametrize("text", [KEY, f"={KEY}", "bot=short", f"bot={KEY},{KEY}x"])
def test_a_wrong_environment_ends_the_start_and_tells_no_key(text: str):
    with pytest.raises(ConfigurationError) as caught:
        keys_of(api(), {ENVIRONMENT: text})
    assert ENVIRONMENT in str(caught.value)
    assert KEY not in str(caught.value)
    assert "short" not in str(caught.value)


def test_a_name_in_both_places_is_refused():
    with pytest.raises(ConfigurationError, match="'bot'"):
        keys_of(api(f'api.keys.bot="{hash_of(KEY)}"'), {ENVIRONMENT: f"bot={KEY}"})


@pytest.mark.parametrize("value", [KEY, "sha256:abc", f"md5:{'a' * 32}", f"sha256:{'G' * 64}"])
def test_configuration_takes_hashes_alone(value: str):
    with pytest.raises(ConfigurationError, match=r"api\.keys\.bot.*not the key itself"):
        api(f'api.keys.bot="{value}"')


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_may_be_served_without_keys(host: str):
    # It raises what it refuses.
    assert check_exposure(api(f'api.host="{host}"'), ApiKeys({})) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org"])
def test_other_machines_are_not_served_without_keys_unless_told_so(host: str):
    with pytest.raises(ConfigurationError, match="serve_without_keys=true"):
        check_exposure(api(f'api.host="{host}"'), ApiKeys({}))
    check_exposure(api(f'api.host="{host}"', "api.serve_without_keys=true"), ApiKeys({}))
    check_exposure(api(f'api.host="{host}"'), ApiKeys({"bot": hash_of(KEY)}))
