"""The contract, over HTTP, against a real server around the shipped fake pipeline."""

import base64
import io
import json
import math
import threading
import time
from collections.abc import Iterator
from urllib.parse import quote, unquote

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.api.server import serving
from tests.fakes import fake_app
from writing_service.diffusion.fake import FakeGPU, FakeLoader, FakePipeline
from writing_service.errors import GenerationFailed

JSON = "/api/writing/generate-writing-image"
BINARY = "/api/writing/generate-writing-image-binary"
RESPONSE_KEYS = {
    "success",
    "status",
    "generated_image_base64",
    "images_base64",
    "base_image_base64",
    "conditioning_images_base64",
    "prompt_used",
    "semantic_analysis",
    "generation_metadata",
    "format",
    "error",
    "warnings",
}
METADATA_KEYS = {
    "character",
    "translation",
    "language",
    "script",
    "style",
    "generation_time_ms",
    "stage_times_ms",
    "seed_used",
    "model_used",
    "controlnet_models_used",
    "conditioning_methods_used",
    "conditioning_weights_used",
    "num_inference_steps",
    "drawn_width",
    "drawn_height",
    "guidance_scale",
    "width",
    "height",
    "pictogram_used",
    "gpu_memory_used_mb",
    "legibility",
}
STAGES = {"render", "conditioning", "prompt", "queue", "denoise", "decode", "legibility", "encode"}
KINDS = {"canny", "depth", "segmentation", "scribble"}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(fake_app()) as client:
        yield client


def picture(encoded: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def small(**fields: object) -> dict[str, object]:
    return {"word": "学习", "width": 128, "height": 112, **fields}


def test_a_word_alone_is_enough_and_every_key_is_there(client: httpx.Client):
    answer = client.post(JSON, json={"word": "学习"})
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == RESPONSE_KEYS
    assert set(body["generation_metadata"]) >= METADATA_KEYS
    assert set(body["generation_metadata"]["stage_times_ms"]) == STAGES
    assert body["success"] is True
    assert body["status"] == "SUCCESS"
    assert body["error"] is None
    assert body["base_image_base64"] is None
    assert body["conditioning_images_base64"] == {}
    assert (body["prompt_used"], body["semantic_analysis"]) == (None, None)
    assert body["generation_metadata"]["style"] == "comic"
    assert picture(body["generated_image_base64"]).size == (512, 512)
    assert body["images_base64"] == [body["generated_image_base64"]]


def test_every_classical_method_is_reached_by_its_name_and_learned_ones_tell_what_they_need():
    names = ("hed_edge_detection", "ai_depth_estimation", "ai_segmentation")
    off = [f"ai_generation.detectors.{name}=null" for name in names]
    with serving(fake_app(None, *off)) as client:
        status = client.get("/api/writing/status").json()["result"]
        listed = status["conditioning_methods"]
        assert [len(listed[kind]) for kind in ("canny", "depth", "segmentation", "scribble")] == [
            4,
            5,
            4,
            6,
        ]
        assert set(status["missing_conditioning_methods"]) == set(names)
        for kind, name in [(kind, name) for kind, known in listed.items() for name in known]:
            asked = small(conditioning_methods={kind: name}, include_conditioning_images=True)
            body = client.post(JSON, json=asked).json()
            assert set(body["conditioning_images_base64"][kind]) == {name}
            assert body["generation_metadata"]["conditioning_methods_used"][kind] == [name]
        refused = client.post(JSON, json=small(conditioning_methods={"depth": names[1]}))
        assert refused.status_code == 422
        assert "switched off" in refused.json()["error"]


def test_a_word_may_run_downwards(client: httpx.Client):
    def shape(direction: str) -> tuple[int, int]:
        asked = small(
            height=128, text_direction=direction, include_conditioning_images=True, pictogram="off"
        )
        plain = picture(client.post(JSON, json=asked).json()["base_image_base64"])
        left, top, right, bottom = ImageOps.invert(plain.convert("L")).getbbox() or (0, 0, 0, 0)
        return right - left, bottom - top

    across, down = shape("horizontal"), shape("vertical")
    assert across[0] > across[1]
    assert down[0] < down[1]
    refused = client.post(JSON, json=small(text_direction="diagonal"))
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "text_direction"


def test_the_metadata_says_where_the_strokes_come_from(client: httpx.Client):
    def used(word: str, language: str) -> dict[str, str]:
        body = client.post(JSON, json=small(word=word, language=language)).json()
        return body["generation_metadata"]["stroke_data_used"]

    assert used("学a", "auto") == {"学": "hanzi-writer-data", "a": "pixels"}
    assert used("学", "japanese") == {"学": "kanjivg"}


def test_everything_that_can_be_included(client: httpx.Client):
    asked = small(
        translation="study",
        include_conditioning_images=True,
        include_prompt=True,
        include_semantic_analysis=True,
    )
    body = client.post(JSON, json=asked).json()
    assert picture(body["base_image_base64"]).size == (128, 112)
    images = body["conditioning_images_base64"]
    assert set(images) == KINDS
    methods = body["generation_metadata"]["conditioning_methods_used"]
    for kind, by_method in images.items():
        assert list(by_method) == methods[kind]
        assert picture(*by_method.values()).size == (128, 112)
    assert "study" in body["prompt_used"]
    assert body["semantic_analysis"]["source"] == "translation"


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "JPG"])
def test_every_format(client: httpx.Client, name: str):
    body = client.post(JSON, json=small(format=name, quality=50)).json()
    assert body["format"] == name.casefold().replace("jpg", "jpeg")
    assert picture(body["generated_image_base64"]).format == body["format"].upper()


def test_a_batch(client: httpx.Client):
    body = client.post(JSON, json=small(seed=3, batch_size=3)).json()
    assert len(set(body["images_base64"])) == 3
    assert body["images_base64"][0] == body["generated_image_base64"]


def test_the_same_seed_gives_the_same_bytes(client: httpx.Client):
    one, two = (client.post(BINARY, json=small(seed=2**63 - 1)).content for _ in "ab")
    assert one == two


def test_an_unknown_field_is_a_warning(client: httpx.Client):
    body = client.post(JSON, json=small(colour="red")).json()
    assert any("'colour'" in warning for warning in body["warnings"])


def test_what_was_dropped_from_the_word_is_a_warning(client: httpx.Client):
    body = client.post(JSON, json=small(word=" 学\u202e习 ")).json()
    assert body["generation_metadata"]["character"] == "学习"
    assert any("U+202E RIGHT-TO-LEFT OVERRIDE" in warning for warning in body["warnings"])
    answer = client.post(BINARY, json=small(word="学\u200b习"))
    assert answer.headers["x-word"] == quote("学习")


def test_the_binary_answer(client: httpx.Client):
    answer = client.post(BINARY, json=small(word='学"习;a', seed=5, format="webp"))
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["x-seed"] == "5"
    assert answer.headers["x-model"] == "fake"
    assert unquote(answer.headers["x-word"]) == '学"习;a'
    name = quote('学"习;a', safe="")
    assert f"filename*=UTF-8''{name}.webp" in answer.headers["content-disposition"]
    assert Image.open(io.BytesIO(answer.content)).size == (128, 112)


def test_the_pngs_of_both_routes_carry_their_parameters(client: httpx.Client):
    asked = small(seed=5, translation="study")
    encoded = client.post(JSON, json=asked).json()["generated_image_base64"]
    for data in (base64.b64decode(encoded), client.post(BINARY, json=asked).content):
        parameters = Image.open(io.BytesIO(data)).info["parameters"]
        assert "Seed: 5" in parameters
        assert "Word: 学习" in parameters


@pytest.mark.parametrize(
    ("fields", "field", "told"),
    [
        ({"word": None}, "word", "string"),
        ({"word": "  "}, "word", "empty"),
        ({"word": "a" * 51}, "word", "at most 50"),
        ({"word": "\U000e1234"}, "word", "U+E1234"),
        ({"translation": "a" * 201}, "translation", "200"),
        ({"hint_writing": "a" * 301}, "hint_writing", "300"),
        ({"style": ""}, "style", "empty"),
        ({"width": 99}, "width", "100"),
        ({"height": 2049}, "height", "2048"),
        ({"width": "wide"}, "width", "integer"),
        ({"num_inference_steps": 0}, "num_inference_steps", "1"),
        ({"guidance_scale": 31}, "guidance_scale", "30"),
        ({"seed": -1}, "seed", "0"),
        ({"seed": 2**63}, "seed", "9223372036854775807"),
        ({"batch_size": 9}, "batch_size", "8"),
        ({"conditioning_weights": {"canny": 3}}, "conditioning_weights.canny", "2"),
        ({"conditioning_weights": {"edges": 1}}, "conditioning_weights.edges", "scribble"),
        ({"preset": "quick"}, "preset", "fast"),
        ({"conditioning_windows": {"canny": [0.5, 0.5]}}, "conditioning_windows.canny", "before"),
        ({"conditioning_windows": {"canny": [0, 2]}}, "conditioning_windows.canny.1", "1"),
        ({"conditioning_methods": {"canny": "x"}}, "conditioning_methods.canny", "opencv_canny"),
        ({"pictogram": "catt"}, "pictogram", "cat"),
        ({"format": "gif"}, "format", "webp"),
        ({"quality": 0}, "quality", "1"),
    ],
)
def test_a_wrong_value_is_422_and_names_the_field(
    client: httpx.Client, fields: dict[str, object], field: str, told: str
):
    answer = client.post(JSON, json=small(**fields))
    body = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= set(body)
    assert body["success"] is False
    assert body["error"] == body["detail"]
    assert [one["field"] for one in body["errors"]] == [field]
    assert told in body["errors"][0]["message"]
    assert body["error"].endswith((".", "?"))


def test_several_wrong_values_are_all_told(client: httpx.Client):
    body = client.post(JSON, json=small(width=1, seed=-1)).json()
    assert {one["field"] for one in body["errors"]} == {"width", "seed"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"a"', b"\xff", b'{"word": "\\ud800"}'])
def test_a_body_that_is_no_request_is_422(client: httpx.Client, content: bytes):
    answer = client.post(JSON, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["success"] is False


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_too_large_is_413(client: httpx.Client, chunked: bool):
    content = b'{"word": "' + b"a" * 70_000 + b'"}'
    answer = client.post(JSON, content=iter([content[:5], content[5:]]) if chunked else content)
    assert answer.status_code == 413
    assert "65536" in answer.json()["error"]


def test_unknown_paths_and_wrong_methods_are_problems_too(client: httpx.Client):
    assert client.get("/nothing").json()["success"] is False
    answer = client.get(JSON)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


def test_health(client: httpx.Client):
    body = client.get("/health").json()
    assert body["status"] == "healthy"
    assert body["service"] == "writing_image_service"
    assert {"timestamp", "uptime_seconds", "version"} <= set(body)


def test_readiness(client: httpx.Client):
    assert client.get("/health/ready").json()["status"] == "ready"


def test_details_without_a_gpu(client: httpx.Client):
    body = client.get("/health/detailed").json()
    assert body["gpu_status"]["memory"]["percent_used"] is None
    assert body["gpu_status"]["temperature_celsius"] is None
    assert body["gpu_diagnostics"]["optimization_profile"]["name"]
    assert set(body["service_status"]["ai_status"]) == {
        "models_loaded",
        "loading",
        "total_generations",
        "failed_generations",
        "average_generation_time_ms",
        "queue_depth",
        "batches",
        "cache",
        "load_times_ms",
        "load_memory_mb",
        "model_cache",
    }


def test_a_leak_shows_in_the_detailed_health_and_once_in_the_log(
    caplog: pytest.LogCaptureFixture,
):
    eager = [f"ai_generation.memory_leaks.{one}=1" for one in ("check_every", "settle")]
    gpu = FakeGPU()
    with serving(fake_app(None, *eager, gpu=gpu)) as client:

        def leak() -> dict[str, object]:
            return client.get("/health/detailed").json()["service_status"]["memory_leak"]

        assert leak()["baseline_memory_mb"] is None
        for _ in range(10):
            client.post(JSON, json=small())
            gpu.memory_mb += 50
        assert leak()["leak_detected"] is True
        assert leak()["slope_mb_per_generation"] == 50
    assert caplog.text.count("Memory keeps growing") == 1


def test_the_status_counts(client: httpx.Client):
    def total() -> int:
        return client.get("/api/writing/status").json()["result"]["total_generations"]

    before = total()
    client.post(JSON, json=small())
    assert total() == before + 1
    result = client.get("/api/writing/status").json()["result"]
    assert set(result["conditioning_methods"]) == KINDS
    assert result["supported_formats"] == ["png", "jpeg", "webp"]
    assert result["max_image_size"] == {"width": 2048, "height": 2048}
    assert "traditional" in result["styles"]


def test_warmup(client: httpx.Client):
    body = client.post("/health/warmup").json()
    assert body["success"] is True
    assert set(body["results"]) == set("测试验学习")
    assert all({"success", "time_ms", "memory"} <= set(one) for one in body["results"].values())


@pytest.mark.parametrize("path", ["/api/docs", "/api/redoc", "/api/openapi.json"])
def test_the_documentation(client: httpx.Client, path: str):
    assert client.get(path).status_code == 200


def test_missing_models_are_503_and_not_ready():
    with serving(fake_app(FakeLoader(reasons=["there is no folder /x"]))) as client:
        ready = client.get("/health/ready")
        assert ready.status_code == 503
        assert ready.json()["status"] == "not_ready"
        assert ready.json()["reasons"] == ["there is no folder /x"]
        assert client.get("/health").status_code == 200
        answer = client.post(JSON, json=small())
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert "/x" in answer.json()["error"]
        warm = client.post("/health/warmup").json()
        assert warm["success"] is False
        assert "/x" in warm["results"]["测"]["error"]


def test_a_failure_is_500_with_an_id_and_without_internals():
    secret = RuntimeError("secret of the house")
    with serving(fake_app(FakeLoader(FakePipeline(error=secret)))) as client:
        body = client.post(JSON, json=small()).json()
        assert body["status"] == 500
        assert "secret" not in str(body)
        assert body["error_id"] in body["error"]


def test_a_failure_of_ours_tells_its_sentence():
    failure = GenerationFailed("Memory ran out; ask for a smaller picture.")
    with serving(fake_app(FakeLoader(FakePipeline(error=failure)))) as client:
        answer = client.post(JSON, json=small())
        assert answer.status_code == 500
        assert "smaller picture" in answer.json()["error"]


def test_past_the_deadline_is_504():
    loader = FakeLoader(FakePipeline(seconds=5))
    with serving(fake_app(loader, "api.request_timeout_seconds=0.5")) as client:
        answer = client.post(JSON, json=small())
        assert answer.status_code == 504
        assert "0.5 s" in answer.json()["error"]


def test_a_full_queue_is_503_with_retry_after_and_health_still_answers():
    loader = FakeLoader(FakePipeline(seconds=2, at_once=1))
    with serving(fake_app(loader, "api.max_queue=1")) as client:
        statuses = list[int]()

        def ask() -> None:
            statuses.append(
                httpx.post(f"{client.base_url}{JSON}", json=small(), timeout=30).status_code
            )

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(0.7)
        answer = client.post(JSON, json=small())
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert client.get("/health").status_code == 200
        for thread in threads:
            thread.join()
        assert statuses == [200, 200]


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None)
@given(
    st.fixed_dictionaries(
        {"word": st.text(max_size=10) | _ANYTHING},
        optional=dict.fromkeys(
            ("translation", "style", "language", "seed", "format", "batch_size", "pictogram"),
            _ANYTHING,
        ),
    )
)
@example({"word": "学", "translation": math.inf})
@example({"word": "学", "guidance_scale": math.nan})
@example({"word": math.nan})
def test_whatever_is_sent_the_answer_is_a_picture_or_names_a_field(client, fields):
    # Python's own JSON writes NaN and Infinity, which httpx refuses to and some clients send.
    body = json.dumps({"width": 100, "height": 100, **fields})
    answer = client.post(JSON, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 422)
    if answer.status_code == 422:
        assert answer.json()["errors"]
