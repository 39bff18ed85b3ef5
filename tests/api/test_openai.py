"""OpenAI's own SDK against a real server."""

import base64
import io
import urllib.request
from collections.abc import Iterator

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.api.server import serving
from tests.fakes import fake_app
from writing_service.api.openai_errors import openai_error
from writing_service.api.openai_schemas import split_prompt
from writing_service.diffusion.fake import FakeLoader, FakePipeline
from writing_service.errors import GenerationFailed

SMALL = "128x112"


@pytest.fixture(scope="module")
def server() -> Iterator[httpx.Client]:
    with serving(fake_app()) as client:
        yield client


def sdk(server: httpx.Client) -> openai.OpenAI:
    return openai.OpenAI(base_url=str(server.base_url.join("/v1")), api_key="any", max_retries=0)


@pytest.fixture
def client(server: httpx.Client) -> Iterator[openai.OpenAI]:
    with sdk(server) as client:
        yield client


def picture(encoded: str | None) -> Image.Image:
    assert encoded
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def test_a_prompt_alone_is_enough(client: openai.OpenAI):
    answer = client.images.generate(prompt="学习 — study")
    assert answer.data
    (one,) = answer.data
    drawn = picture(one.b64_json)
    assert (drawn.format, drawn.size) == ("PNG", (512, 512))
    assert "Word: 学习" in drawn.info["parameters"]
    assert "Translation: study" in drawn.info["parameters"]
    assert one.revised_prompt
    assert "study" in one.revised_prompt
    assert one.url is None
    assert (answer.output_format, answer.quality, answer.background) == ("png", "auto", "opaque")
    assert abs(answer.created - 1.7e9) < 1e9


def test_what_the_sdk_knows_is_heard(client: openai.OpenAI):
    answer = client.images.generate(
        prompt="猫: cat",
        model="gpt-image-1",
        n=2,
        size=SMALL,  # type: ignore[arg-type]
        quality="low",
        output_format="jpeg",
        output_compression=0,
        response_format="b64_json",
        background="auto",
        moderation="low",
        user="someone",
        extra_body={"seed": 7, "style": "ink"},
    )
    assert answer.data
    assert [one.seed for one in answer.data] == [7, 8]  # type: ignore[attr-defined]
    assert {picture(one.b64_json).size for one in answer.data} == {(128, 112)}
    assert picture(answer.data[0].b64_json).format == "JPEG"
    assert (answer.size, answer.output_format) == (SMALL, "jpeg")
    assert not [one for one in answer.warnings if "ignored" in one]  # type: ignore[attr-defined]


def test_our_own_fields_go_before_the_prompt(client: openai.OpenAI):
    extras = {"word": "学习", "preset": "fast", "seed": 3, "pictogram": "off", "colour": "red"}
    answer = client.images.generate(
        prompt="to study: hard",
        size=SMALL,  # type: ignore[arg-type]
        quality="high",
        extra_body=extras,
    )
    assert answer.data
    told = picture(answer.data[0].b64_json).info["parameters"]
    assert "Word: 学习" in told
    assert 'Translation: "to study\\u003a hard"' in told
    assert "Preset: fast" in told
    assert "Pictogram asked: off" in told
    assert any("'colour'" in one for one in answer.warnings)  # type: ignore[attr-defined]


def test_the_same_seed_gives_the_same_picture_here_and_in_our_own_shape(
    client: openai.OpenAI, server: httpx.Client
):
    answer = client.images.generate(
        prompt="学习 — study",
        size=SMALL,
        extra_body={"seed": 3},  # type: ignore[arg-type]
    )
    ours = {"word": "学习", "translation": "study", "seed": 3, "width": 128, "height": 112}
    file = server.post("/api/writing/generate-writing-image-binary", json=ours).content
    assert answer.data
    assert base64.b64decode(answer.data[0].b64_json or "") == file


def test_a_url_carries_the_picture(client: openai.OpenAI):
    answer = client.images.generate(
        prompt="学",
        size=SMALL,
        response_format="url",  # type: ignore[arg-type]
    )
    assert answer.data
    assert answer.data[0].b64_json is None
    with urllib.request.urlopen(answer.data[0].url or "") as opened:
        assert Image.open(opened).size == (128, 112)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": "x" * 51}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "\U00010f70 — nothing"}, "prompt"),
        ({"size": "12x9000"}, "size"),
        ({"size": "large"}, "size"),
        ({"n": 9}, "n"),
        ({"quality": "best"}, "quality"),
        ({"output_format": "gif"}, "output_format"),
        ({"output_compression": 101}, "output_compression"),
        ({"stream": True}, "stream"),
        ({"background": "transparent"}, "background"),
        ({"extra_body": {"pictogram": "no such thing"}}, "pictogram"),
        ({"extra_body": {"seed": -1}}, "seed"),
    ],
)
def test_a_wrong_field_is_a_bad_request_that_names_it(client: openai.OpenAI, fields, param: str):
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(**{"prompt": "猫 — cat", **fields})
    assert (caught.value.type, caught.value.param) == ("invalid_request_error", param)
    assert caught.value.code == "invalid_value"
    assert len(caught.value.body["message"]) > 10  # type: ignore[index]


def test_models_are_listed_and_others_are_not_found(client: openai.OpenAI):
    assert [one.id for one in client.models.list()] == ["embedded", "writing-service"]
    assert client.models.retrieve("embedded").object == "model"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("sd3")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError, match="there are: embedded, writing-service"):
        client.images.generate(prompt="猫", model="sd3")


def test_what_is_not_the_clients_fault_is_a_server_error():
    with (
        serving(fake_app(FakeLoader(reasons=["gone"]))) as server,
        sdk(server) as client,
        pytest.raises(openai.InternalServerError) as caught,
    ):
        client.images.generate(prompt="猫")
    assert (caught.value.status_code, caught.value.code) == (503, "unavailable")
    assert int(caught.value.response.headers["Retry-After"]) >= 1
    broken = FakeLoader(FakePipeline(error=GenerationFailed("The GPU is gone.")))
    with (
        serving(fake_app(broken)) as server,
        sdk(server) as client,
        pytest.raises(openai.InternalServerError, match="The log has it under") as caught,
    ):
        client.images.generate(prompt="猫")
    assert (caught.value.status_code, caught.value.type) == (500, "server_error")


def test_a_body_that_is_no_json_and_a_route_that_is_not_there_are_told_alike(server: httpx.Client):
    for answer, status in (
        (server.post("/v1/images/generations", content=b"{"), 400),
        (server.post("/v1/images/generations", json=[]), 400),
        (server.post("/v1/images/edits", json={}), 404),
        (server.get("/v1/images/generations"), 405),
    ):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/json"
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, "authentication_error", "invalid_api_key"),
        (413, "invalid_request_error", "body_too_large"),
        (429, "rate_limit_error", "rate_limit_exceeded"),
        (504, "server_error", "timeout"),
    ],
)
def test_problems_of_others_become_errors_of_the_same_status(status: int, kind: str, code: str):
    told, answer = openai_error({"status": status, "error": "No."})
    assert (told, answer.error.type, answer.error.code) == (status, kind, code)


@pytest.mark.parametrize(
    ("prompt", "word", "meaning"),
    [
        ("学习 — study", "学习", "study"),
        ("学习—study", "学习", "study"),
        ("学习 – study – hard", "学习", "study – hard"),
        ("学习 - study", "学习", "study"),
        ("well-being - health", "well-being", "health"),
        ("学习: study", "学习", "study"),
        ("学习：study", "学习", "study"),
        ("学习=study", "学习", "study"),
        ("学习 → study", "学习", "study"),
        ("学习\nstudy", "学习", "study"),
        ("12:30", "12:30", ""),
        ("12:30 — half past twelve", "12:30", "half past twelve"),
        ("well-being", "well-being", ""),
        ("ice cream", "ice cream", ""),
        ("— study", "— study", ""),
        ("学习 —", "学习 —", ""),
        ("  猫  ", "猫", ""),
        ("дом ― house", "дом", "house"),
    ],
)
def test_a_prompt_is_parted_at_its_first_separator(prompt: str, word: str, meaning: str):
    assert split_prompt(prompt) == (word, meaning)


@given(st.text(max_size=60))
def test_no_prompt_loses_anything_but_its_separator(prompt: str):
    word, meaning = split_prompt(prompt)
    assert prompt.strip().startswith(word)
    assert prompt.strip().endswith(meaning)


@given(st.text("猫a -—:=", min_size=1), st.text("cat s", min_size=1))
def test_a_word_and_a_meaning_come_back_from_our_own_form(word: str, meaning: str):
    plain, told = "".join(word.split(" ")).strip("-—:="), " ".join(meaning.split())
    if plain and told and not set(plain) & set("—:="):
        assert split_prompt(f"{plain} — {told}") == (plain, told)
