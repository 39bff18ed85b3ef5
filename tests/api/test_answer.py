"""What is kept of an answer comes back as it was, or not at all."""

import io
import zipfile
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from writing_service.api.answer import Answer, pack, unpack
from writing_service.observability.observer import CacheOutcome
from writing_service.types import ImageFormat

ANSWER = Answer(
    ImageFormat.WEBP,
    (b"first", b"second"),
    b"base",
    {"canny": {"opencv_canny": b"edges"}, "depth": {"multi_layer_depth": b"depth"}},
    "a cat, 猫",
    {"subject": "cat", "sense": None},
    {"seed_used": 7, "cache": None, "legibility": {"score": 0.9}},
    ("one", "two"),
    CacheOutcome.MISS,
)
PACKED = pack(ANSWER)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
ANSWERS = st.builds(
    Answer,
    st.sampled_from(ImageFormat),
    st.lists(st.binary(max_size=50), min_size=1, max_size=3).map(tuple),
    st.none() | st.binary(min_size=1, max_size=20),
    st.dictionaries(
        st.sampled_from(["canny", "depth"]),
        st.dictionaries(st.text("abc_", min_size=1, max_size=5), st.binary(max_size=20)),
    ),
    st.none() | st.text(max_size=20),
    st.none() | st.dictionaries(st.text(max_size=5), JSON, max_size=3),
    st.dictionaries(st.text(max_size=5), JSON, max_size=3),
    st.lists(st.text(max_size=10), max_size=3).map(tuple),
)


@given(ANSWERS)
def test_whatever_is_packed_comes_back_and_says_when_it_was_drawn(answer: Answer):
    found = unpack(pack(answer))
    assert found.metadata["cache"]["drawn_at"].endswith("+00:00")
    metadata = {**answer.metadata, "cache": found.metadata["cache"]}
    assert found == replace(answer, metadata=metadata, cache=CacheOutcome.HIT)


@given(st.integers(0, len(PACKED) - 1), st.integers(1, 255))
def test_a_changed_byte_is_found_or_changes_nothing(at: int, by: int):
    changed = bytearray(PACKED)
    changed[at] ^= by
    try:
        found = unpack(bytes(changed))
    except ValueError:
        return
    assert found == unpack(PACKED)


@given(st.integers(0, len(PACKED) - 1))
def test_a_cut_entry_is_found(length: int):
    with pytest.raises(ValueError, match=":"):
        unpack(PACKED[:length])


@given(st.binary(max_size=200))
def test_noise_is_found(noise: bytes):
    with pytest.raises(ValueError, match=":"):
        unpack(noise)


def test_compressed_files_are_refused_whatever_they_would_become():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr("answer.json", b"0" * 10_000_000)
    with pytest.raises(ValueError, match="any size"):
        unpack(packed.getvalue())


def test_copies_share_their_json():
    copy = replace(ANSWER, cache=CacheOutcome.COALESCED)
    assert copy.as_json() is ANSWER.as_json()
