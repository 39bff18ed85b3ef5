"""From word, translation and hint to what is shown, over HTTP, around the shipped fake pipeline."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.server import serving
from tests.fakes import fake_app

JSON = "/api/writing/generate-writing-image"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(fake_app()) as client:
        yield client


@pytest.fixture(scope="module")
def full() -> Iterator[httpx.Client]:
    """Prompted as the full models are, with a list of blocked words."""
    overrides = [
        "ai_generation.prompt.scene=true",
        "ai_generation.composition.pictogram=false",
        "ai_generation.prompt.blocked_words=[gore,'血',blood]",
    ]
    with serving(fake_app(None, *overrides)) as client:
        yield client


def drawn(client: httpx.Client, word: str, translation: str = "", **fields: object) -> Any:
    asked = {
        **{"word": word, "translation": translation, "width": 128, "height": 128, "seed": 1},
        **{"include_prompt": True, "include_semantic_analysis": True},
        **fields,
    }
    answer = client.post(JSON, json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("word", "translation", "subject", "by", "pictogram"),
    [
        ("学习", "study", "study", "metaphor", "books"),
        ("猫", "cat", "cat", "noun", "cat face"),
        ("河", "river", "river", "noun", "water wave"),
    ],
)
def test_known_words(
    client: httpx.Client, word: str, translation: str, subject: str, by: str, pictogram: str
):
    body = drawn(client, word, translation)
    told = body["semantic_analysis"]
    assert (told["subject"], told["source"], told["depiction"]["by"]) == (
        subject,
        "translation",
        by,
    )
    assert told["sense"]["word"] == subject
    assert f"illustration of {subject}, " in body["prompt_used"]
    assert body["generation_metadata"]["pictogram_used"]["name"] == pictogram
    assert body["generation_metadata"]["pictogram_used"]["found_by"] == subject
    assert body["generation_metadata"]["prompt_dropped"] == []
    assert body["warnings"] == []


def test_the_analysis_tells_what_was_concluded_and_from_what(client: httpx.Client):
    told = drawn(client, "河", "river")["semantic_analysis"]
    assert told["sense"] == {
        "word": "river",
        "part_of_speech": "noun",
        "field": "object",
        "concrete": True,
        "synonyms": [],
        "hypernyms": ["stream", "body of water", "thing", "physical entity", "entity"],
    }
    assert told["depiction"] == {"scene": "a river", "by": "noun"}
    assert told["radicals"] == [{"character": "河", "radical": "氵", "shows": "water"}]
    assert "stream" in told["relatives"]
    assert told["dropped_phrases"] == []


@pytest.mark.parametrize(("word", "subject"), [("学习", "learn"), ("貓", "cat"), ("河", "river")])
def test_a_chinese_word_alone_is_looked_up(client: httpx.Client, word: str, subject: str):
    body = drawn(client, word)
    assert body["semantic_analysis"]["source"] == "dictionary"
    assert body["semantic_analysis"]["subject"] == subject
    assert body["generation_metadata"]["pictogram_used"] is not None
    assert body["warnings"] == []


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("さくら", "only Chinese words"),
        ("дом", "only Chinese words"),
        ("龘龘龘", "not in the dictionary"),
    ],
)
def test_a_word_of_which_nothing_is_known_is_shown_alone(
    client: httpx.Client, word: str, reason: str
):
    body = drawn(client, word)
    assert body["generation_metadata"]["layout"] == "alone"
    assert body["generation_metadata"]["pictogram_used"] is None
    (warning,) = body["warnings"]
    assert reason in warning
    assert "the word alone" in warning


def test_an_unknown_translation_is_named_and_told(client: httpx.Client):
    body = drawn(client, "学", "xyzzy")
    assert "illustration of xyzzy," in body["prompt_used"]
    assert body["semantic_analysis"]["sense"] is None
    assert any("no pictogram for 'xyzzy'" in warning for warning in body["warnings"])


def test_a_translation_outside_the_vocabulary_gets_its_nearest_kin(client: httpx.Client):
    used = drawn(client, "犬", "spaniel")["generation_metadata"]["pictogram_used"]
    assert (used["name"], used["found_by"]) == ("dog face", "dog")


def test_a_hint_outranks_what_was_concluded(full: httpx.Client):
    body = drawn(full, "自由", "freedom", hint_writing="a kite without a string")
    assert "of freedom, a kite without a string, inspired by" in body["prompt_used"]
    assert "cage" not in body["prompt_used"]
    assert body["semantic_analysis"]["depiction"]["by"] == "hint"
    alone = drawn(full, "学", hint_writing="a roof over a child")
    assert alone["semantic_analysis"]["source"] == "hint"
    assert "a roof over a child" in alone["prompt_used"]


def test_full_models_are_told_the_scene(full: httpx.Client):
    assert "of a river, inspired by" in drawn(full, "河", "river")["prompt_used"]
    assert drawn(full, "河", "river")["prompt_used"].endswith("with water as a detail")
    assert "someone swimming" in drawn(full, "游", "to swim")["prompt_used"]


def test_what_does_not_fit_is_in_the_metadata(full: httpx.Client):
    body = drawn(full, "河", "river", hint_writing="so blue " * 37)
    dropped = body["generation_metadata"]["prompt_dropped"]
    assert any(one.startswith("so blue") for one in dropped)
    assert dropped == body["semantic_analysis"]["dropped_phrases"]
    assert "river" in body["prompt_used"]
    assert "河" in body["prompt_used"]
    assert any("left out" in warning for warning in body["warnings"])


@pytest.mark.parametrize(
    ("fields", "field", "blocked"),
    [
        ({"translation": "much GORE"}, "translation", "gore"),
        ({"hint_writing": "g\u200bore"}, "hint_writing", "gore"),
        ({"style": "gore"}, "style", "gore"),
        ({"word": "流血"}, "word", "血"),
        ({"word": "赤", "translation": "blood-red"}, "translation", "blood"),
    ],
)
def test_blocked_words_are_refused_in_one_sentence(
    full: httpx.Client, fields: dict[str, str], field: str, blocked: str
):
    answer = full.post(JSON, json={"word": "学", **fields})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert f"'{blocked}', which this service does not draw" in answer.json()["error"]
