"""Long prompts, with tiny models whose tokens are letters."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.diffusion.conftest import Loaders, make_job, model_settings
from tests.diffusion.tiny_models import tiny_tokenizer
from writing_service.diffusion.denoising.texts import MOST_CHUNKS, TextEncoders, TokenCounter
from writing_service.diffusion.pipeline import MultiControlNetPipeline

CHUNKED = TokenCounter([tiny_tokenizer()], chunked=True)
LONG = (
    "a red cat on a blue roof, under a green moon, beside a yellow lantern, with a very long tail, "
    "and with a purple nose"
)


@pytest.fixture
async def chunked(tiny: Path, make_loader: Loaders) -> MultiControlNetPipeline:
    return await make_loader(model_settings(tiny), long_prompts="chunked").load()


def test_a_long_prompt_is_cut_between_phrases():
    chunks = CHUNKED.chunks(LONG)
    assert len(chunks) == 2
    assert ", ".join(chunks) == LONG
    assert all(CHUNKED.count(chunk) <= 77 for chunk in chunks)
    assert CHUNKED.limit == MOST_CHUNKS * 75 + 2


def test_a_long_phrase_is_cut_between_words_and_a_short_text_not_at_all():
    phrase = LONG.replace(",", "")
    chunks = CHUNKED.chunks(phrase)
    assert " ".join(chunks) == phrase
    assert CHUNKED.chunks("a cat") == ["a cat"]
    assert CHUNKED.chunks("") == [""]
    assert TokenCounter([tiny_tokenizer()]).chunks(LONG) == [LONG]


@given(st.text(alphabet="ab ,é猫", max_size=400))
def test_no_letter_is_lost(text: str):
    chunks = CHUNKED.chunks(text)
    letters = "".join(text.split()).replace(",", "")
    assert "".join("".join(chunks).split()).replace(",", "") == letters
    assert all(CHUNKED.count(one) <= 77 for one in chunks if " " in one)


def encoders(pipeline: MultiControlNetPipeline) -> TextEncoders:
    base = pipeline._denoiser.base
    counter = TokenCounter((base.tokenizer, base.tokenizer_2), chunked=True)
    return TextEncoders(base, torch.device("cpu"), counter)


async def test_the_states_of_chunks_stand_behind_one_another(chunked: MultiControlNetPipeline):
    texts = encoders(chunked)
    first, second = CHUNKED.chunks(LONG)
    whole, one, two = (texts.encode(text, "", False) for text in (LONG, first, second))
    assert whole.states.shape[1] == 2 * 77
    assert torch.equal(whole.states, torch.cat([one.states, two.states], dim=1))
    assert torch.equal(whole.pooled, one.pooled)


async def test_the_shorter_of_two_rows_is_filled_with_no_text(chunked: MultiControlNetPipeline):
    texts = encoders(chunked)
    both = texts.encode(LONG, "blurry", True)
    empty, blurry = (texts.encode(text, "", False).states for text in ("", "blurry"))
    assert both.states.shape[:2] == (2, 2 * 77)
    assert torch.equal(both.states[:1], torch.cat([blurry, empty], dim=1))
    turned = texts.encode("blurry", LONG, True)
    assert torch.equal(turned.states.flip(0), both.states)
    assert texts.chunks("blurry", LONG, True) == 2
    assert texts.chunks("blurry", LONG, False) == 1


async def test_what_stands_in_the_second_chunk_matters(chunked: MultiControlNetPipeline):
    one, other = [
        np.asarray((await chunked.draw(make_job(prompt=text))).images[0].image)
        for text in (LONG, LONG.replace("nose", "ears"))
    ]
    assert not np.array_equal(one, other)


async def test_a_short_prompt_is_drawn_as_ever(
    chunked: MultiControlNetPipeline, pipeline: MultiControlNetPipeline
):
    assert (chunked.max_tokens, pipeline.max_tokens) == (302, 77)
    one, other = [(await each.draw(make_job())).images[0].image for each in (chunked, pipeline)]
    assert one.tobytes() == other.tobytes()


async def test_long_and_short_prompts_under_way_together_do_not_mix(
    chunked: MultiControlNetPipeline,
):
    jobs = [make_job(prompt=LONG), make_job(), make_job(prompt=LONG, guidance_scale=1.0)]
    alone = [(await chunked.draw(job)).images[0].image for job in jobs]
    together = await asyncio.gather(*map(chunked.draw, jobs))
    for one, other in zip(alone, together, strict=True):
        difference = np.abs(np.asarray(one).astype(int) - np.asarray(other.images[0].image))
        assert difference.max() <= 1
