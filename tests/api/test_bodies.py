"""Bodies that are too large, too late, or no JSON: each over a real connection, each answered."""

import json
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.server import serving
from tests.fakes import fake_app
from writing_service.api.bodies import LINGER_SECONDS, parse_json

PATH = "/api/writing/generate-writing-image-binary"
JSON = {"Content-Type": "application/json"}
PATIENCE = 0.6


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """It waits for a body no longer than PATIENCE."""
    with serving(fake_app(None, f"api.body_timeout_seconds={PATIENCE}")) as client:
        yield client


def connected(client: httpx.Client) -> socket.socket:
    return socket.create_connection(("127.0.0.1", client.base_url.port or 0), timeout=20)


def head(*headers: str) -> bytes:
    lines = [f"POST {PATH} HTTP/1.1", "Host: x", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def answer_of(connection: socket.socket) -> bytes:
    """Until the server closes."""
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


@pytest.mark.parametrize("begun", [b"", b'{"word"'])
@pytest.mark.parametrize("length", ["Content-Length: 40", "Transfer-Encoding: chunked"])
def test_a_body_that_never_comes_is_408_within_its_time(
    client: httpx.Client, begun: bytes, length: str
):
    if "chunked" in length and begun:
        begun = f"{len(begun):x}\r\n".encode() + begun + b"\r\n"
    with connected(client) as connection:
        started = time.monotonic()
        connection.sendall(head(length) + begun)
        answer = answer_of(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"0.6 s" in answer
    assert PATIENCE <= time.monotonic() - started < 20 * PATIENCE


def test_a_body_that_drips_is_late_too(client: httpx.Client):
    with connected(client) as connection:
        connection.sendall(head("Content-Length: 1000"))
        dripping = threading.Event()

        def drip() -> None:
            while not dripping.wait(0.1):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")
        finally:
            dripping.set()
            thread.join()


def test_whoever_goes_away_in_the_middle_leaves_a_service_that_answers(client: httpx.Client):
    for _ in range(20):
        with connected(client) as connection:
            connection.sendall(head("Content-Length: 40") + b'{"word"')
    assert client.get("/health").status_code == 200


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b'{"word": ', "no valid JSON"),
        (b"{'word': 'x'}", "line 1, column 2"),
        (b'{"word": "x"} {}', "no valid JSON"),
        (b'{"word": "\xff"}', "UTF-8"),
        ('{"word": "学"}'.encode("utf-16"), "UTF-8"),
        (b'{"word": "a", "word": "b"}', "'word' twice"),
        (b'{"word": "a", "x": [{"k": 1, "k": 1}]}', "'k' twice"),
        (b'{"word": "a", "guidance_scale": NaN}', "NaN"),
        (b'{"word": "a", "guidance_scale": -Infinity}', "-Infinity"),
        (b'{"word": "a", "guidance_scale": 1e999}', "too large"),
        (b'{"word": "a", "seed": ' + b"9" * 5000 + b"}", "5000 digits"),
        (b'{"word": "a", "x": ' + b"[" * 30 + b"]" * 30 + b"}", "16 levels"),
        (b"[" * 30_000 + b"]" * 30_000, "16 levels"),
        (b'{"a":' * 10_000, "16 levels"),
        (b'{"word": "a", "\\ud800": 1}', "surrogate"),
        (b'{"word": "a", "x": "\\udfff"}', "surrogate"),
    ],
)
def test_what_is_no_json_or_says_two_things_is_422(client: httpx.Client, sent: bytes, told: str):
    answer = client.post(PATH, content=sent, headers=JSON)
    assert answer.status_code == 422
    assert told in answer.json()["error"]
    assert answer.json()["errors"][0]["field"] == "body"
    assert len(answer.text) < 1000


@pytest.mark.parametrize(
    "fields",
    [
        {"seed": 10**400},
        {"width": 1e308},
        {"width": "1e5"},
        {"word": ["学"]},
        {"word": {"a": 1}},
        {"conditioning_weights": [1]},
        {"conditioning_methods": {"canny": 1}},
        {"include_prompt": "perhaps"},
        {"batch_size": [1]},
    ],
)
def test_wrong_types_and_huge_numbers_name_their_field(
    client: httpx.Client, fields: dict[str, object]
):
    answer = client.post(PATH, json={"word": "学", **fields})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].split(".")[0] == next(iter(fields))


@pytest.mark.parametrize("size", [70_000, 700_000])
def test_whoever_sends_all_before_reading_is_told_that_it_is_too_much(
    client: httpx.Client, size: int
):
    for _ in range(10):
        with connected(client) as connection:
            connection.sendall(head(f"Content-Length: {size}"))
            for start in range(0, size, 10_000):
                connection.sendall(b" " * min(10_000, size - start))
                time.sleep(0.001)
            answer = answer_of(connection)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"larger than 65536 bytes" in answer


@pytest.mark.parametrize("more", [(), ("Expect: 100-continue",)])
def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(
    client: httpx.Client, more: tuple[str, ...]
):
    with connected(client) as connection:
        started = time.monotonic()
        connection.sendall(head("Content-Length: 700000", *more))
        begun = connection.recv(65536)
        assert time.monotonic() - started < LINGER_SECONDS / 2
        assert begun.startswith(b"HTTP/1.1 413 ")
        answer_of(connection)  # closed in the end
        assert time.monotonic() - started < 10 * LINGER_SECONDS


@pytest.mark.parametrize("length", ["-1", "1e9", "٣", "9" * 5000, "40, 41"])
def test_a_length_that_is_none_is_refused(client: httpx.Client, length: str):
    with connected(client) as connection:
        connection.sendall(head(f"Content-Length: {length}") + b"{}")
        assert connection.recv(65536)[9:12] in (b"400", b"413")


def test_a_byte_order_mark_is_no_error(client: httpx.Client):
    sent = "\ufeff".encode() + json.dumps({"word": "学", "width": 100, "height": 100}).encode()
    assert client.post(PATH, content=sent, headers=JSON).status_code == 200


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(_VALUES)
def test_whatever_json_can_say_is_read_as_it_was_written(value: object):
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


@given(
    st.binary(max_size=60) | st.text(alphabet='{}[]":,0e+-NaIfy\\ud', max_size=60).map(str.encode)
)
def test_any_other_bytes_are_one_sentence(body: bytes):
    told = "The body "
    try:
        parse_json(body)
    except ValueError as error:
        told = str(error)
    assert told.startswith("The body ")
    assert len(told) < 200
