"""What a request says never becomes a path, a model's id or an address: the interpreter itself tells what is opened."""

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import writing_service
from tests.api.server import serving
from tests.fakes import fake_app
from writing_service.types import ConditioningKind

JSON = "/api/writing/generate-writing-image"
MARK = "zqmark"
"""In every text that is sent, and in no file's name."""

_REACH = ("open", "os.", "shutil.", "socket.", "subprocess.", "import", "glob.", "urllib.")
_HOUSES = tuple(
    os.path.realpath(one)
    for one in (
        Path(writing_service.__file__).parents[1],
        sys.prefix,
        sys.base_prefix,
        sysconfig.get_path("stdlib"),
        "/proc",
        "/dev",
        "/sys",
        "/usr/share",
        "/usr/lib",
    )
)


class Watch:
    """Every event of the interpreter that reaches out (PEP 578), while it is `on`. Hooks cannot be taken away again."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[tuple[str, tuple[Any, ...]]] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event.startswith(_REACH):
            self.seen.append((event, arguments))

    @contextmanager
    def listening(self) -> Iterator[list[tuple[str, tuple[Any, ...]]]]:
        self.seen, self.on = [], True
        try:
            yield self.seen
        finally:
            self.on = False


WATCH = Watch()


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """Warm: whatever is read once has been read."""
    with serving(fake_app()) as client:
        client.post(JSON, json={"word": "学", "translation": "study"})
        yield client


TRAVERSALS = st.sampled_from(
    [
        "../../../etc/{}",
        "/etc/{}",
        "~/{}",
        "file:///etc/{}",
        "http://{}.invalid/x",
        "//{}.invalid/x",
        "..\\..\\{}",
        "%2e%2e%2f{}",
        "owner/{}",
        "owner/{}@main/model.safetensors",
        "embedded/../{}",
        "./{}",
        "{}\x00.png",
        "${{HOME}}/{}",
        "$({})",
        "`{}`",
        "{}.safetensors",
        "{}; cat /etc/passwd",
    ]
).map(lambda template: template.format(MARK))

BODIES = st.fixed_dictionaries(
    {"word": TRAVERSALS | st.just("学")},
    optional={
        **dict.fromkeys(
            ("translation", "hint_writing", "language", "style", "pictogram", "preset"), TRAVERSALS
        ),
        **dict.fromkeys(("format", "text_direction", "model", "base_model", "lora"), TRAVERSALS),
        "conditioning_methods": st.dictionaries(
            st.sampled_from([kind.value for kind in ConditioningKind]), TRAVERSALS, max_size=2
        ),
    },
)


@settings(max_examples=25)
@given(BODIES, TRAVERSALS)
def test_no_text_of_a_request_reaches_out(client: httpx.Client, body: dict[str, Any], text: str):
    port = client.base_url.port
    with WATCH.listening() as seen:
        answer = client.post(
            JSON,
            json={"width": 100, "height": 100, **body},
            headers={"X-Request-ID": text.replace("\x00", "")},
        )
        client.get(f"/{text}".replace("\x00", ""))
    assert answer.status_code in (200, 422)
    for event, arguments in seen:
        assert MARK not in repr(arguments), event
        if event == "open" and isinstance(arguments[0], str):
            assert os.path.realpath(arguments[0]).startswith(_HOUSES), arguments
        if event in ("socket.connect", "socket.getaddrinfo"):
            assert str(port) in repr(arguments), arguments
        assert not event.startswith(("subprocess.", "os.system", "os.exec", "os.remove")), event


def test_the_watch_sees_what_it_should(tmp_path: Path):
    with WATCH.listening() as seen:
        (tmp_path / MARK).write_text("here")
    assert any(event == "open" and MARK in repr(arguments) for event, arguments in seen)
