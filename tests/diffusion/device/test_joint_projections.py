"""Joint projections give what separate ones give, from as many numbers, and leave other kinds of attention alone."""

import weakref
from copy import deepcopy
from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import XFormersAttnProcessor
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

from writing_service.diffusion.device.compiling import compile_blocks
from writing_service.diffusion.device.joint_projections import join_projections, texts_for

PRODUCTS = ("to_q", "to_k", "to_qkv", "to_kv")


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(5)


def transformer_of(blocks: int, **changes: Any) -> Any:
    """Two heads of 16 numbers each."""
    options = {"in_channels": 32, "norm_num_groups": 8, "cross_attention_dim": 24, **changes}
    return Transformer2DModel(
        2, 16, num_layers=blocks, use_linear_projection=True, **options
    ).eval()


def joined(transformer: Any) -> Any:
    """A copy of it, its projections joined."""
    changed = deepcopy(transformer)
    join_projections(changed)
    return changed


def answers_of(transformer: Any, pixels: Tensor, text: Tensor, **masks: Tensor) -> Tensor:
    """What its blocks give, one after the other."""
    texts = texts_for(transformer, text)
    for block, own in zip(transformer.transformer_blocks, texts, strict=True):
        pixels = block(pixels, encoder_hidden_states=own, **masks)
    return pixels


def given(rows: int) -> tuple[Tensor, Tensor]:
    """Pixels and text."""
    return torch.randn(rows, 10, 32), torch.randn(rows, 7, 24)


def products(transformer: Any) -> list[str]:
    """The linear layers of its attention; with each to_k there is a to_v."""
    names = [name for name, one in transformer.named_modules() if isinstance(one, nn.Linear)]
    return [end for name in names if (end := name.rpartition(".")[2]) in PRODUCTS]


def size(network: nn.Module) -> int:
    """In bytes."""
    return sum(one.numel() * one.element_size() for one in network.parameters())


@torch.no_grad()
@pytest.mark.parametrize("blocks", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_answers_are_the_same(blocks: int, rows: int) -> None:
    apart = transformer_of(blocks)
    pixels, text = given(rows)
    wanted = answers_of(apart, pixels, text)
    got = answers_of(joined(apart), pixels, text)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_masks_leave_out_the_same() -> None:
    apart = transformer_of(2)
    pixels, text = given(2)
    left_out = torch.zeros(2, 1, 7)
    left_out[0, :, 2:], left_out[1, :, 5:] = -10000, -10000
    masks = {"encoder_attention_mask": left_out, "attention_mask": -torch.rand(2, 1, 10)}
    wanted = answers_of(apart, pixels, text, **masks)
    got = answers_of(joined(apart), pixels, text, **masks)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(got, answers_of(apart, pixels, text), atol=1e-3)


def test_fewer_products_of_as_many_numbers() -> None:
    apart = transformer_of(3)
    together = joined(apart)
    assert products(apart) == ["to_q", "to_k", "to_q", "to_k"] * 3
    assert products(together) == ["to_qkv", "to_q"] * 3 + ["to_kv"]
    assert together.to_kv.weight.shape == (3 * 2 * 32, 24)
    assert size(together) == size(apart)


def test_number_format_stays() -> None:
    together = joined(transformer_of(2).to(torch.bfloat16))
    assert {one.dtype for one in together.parameters()} == {torch.bfloat16}


def test_separate_weights_are_let_go() -> None:
    transformer = transformer_of(2)
    attentions = [
        one for block in transformer.transformer_blocks for one in (block.attn1, block.attn2)
    ]
    separate = [weakref.ref(one.to_k.weight) for one in attentions]
    join_projections(transformer)
    assert [one() for one in separate] == [None] * 4


@torch.no_grad()
def test_what_is_joined_is_not_joined_again() -> None:
    once = joined(transformer_of(2))
    twice = joined(once)
    assert products(twice) == products(once)
    pixels, text = given(1)
    assert torch.equal(answers_of(twice, pixels, text), answers_of(once, pixels, text))


def sliced(transformer: Any) -> None:
    for block in transformer.transformer_blocks:
        block.attn1.set_attention_slice(1)
        block.attn2.set_attention_slice(1)


def adapted(transformer: Any) -> None:
    inject_adapter_in_model(
        LoraConfig(target_modules=["to_q"], init_lora_weights=False), transformer
    )


@torch.no_grad()
@pytest.mark.parametrize("change", [sliced, adapted])
def test_attention_of_other_kinds_is_left_alone(change: Any) -> None:
    apart = transformer_of(2)
    change(apart)
    together = joined(apart)
    assert [name for name, _ in together.named_modules()] == [
        name for name, _ in apart.named_modules()
    ]
    pixels, text = given(2)
    assert torch.equal(answers_of(together, pixels, text), answers_of(apart, pixels, text))


def test_attention_of_xformers_is_left_alone() -> None:
    transformer = transformer_of(2)
    before = products(transformer)
    for block in transformer.transformer_blocks:
        block.attn1.set_processor(XFormersAttnProcessor())
        block.attn2.set_processor(XFormersAttnProcessor())
    join_projections(transformer)
    assert products(transformer) == before


@torch.no_grad()
@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"attention_bias": True}, ["to_q", "to_k", "to_q", "to_k"]),
        ({"only_cross_attention": True}, ["to_q", "to_k", "to_q", "to_k"]),
        ({"double_self_attention": True}, ["to_qkv", "to_q", "to_k"]),
        ({"cross_attention_dim": None}, ["to_qkv"]),
    ],
)
def test_blocks_of_other_kinds_are_joined_where_they_can(
    changes: dict[str, Any], kept: list[str]
) -> None:
    apart = transformer_of(2, **changes)
    together = joined(apart)
    assert products(together) == kept * 2
    pixels = torch.randn(1, 10, 32)
    text = pixels if "double_self_attention" in changes else torch.randn(1, 7, 24)
    wanted = answers_of(apart, pixels, text)
    torch.testing.assert_close(answers_of(together, pixels, text), wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_one_block_that_differs_keeps_all_to_the_text() -> None:
    apart = transformer_of(2)
    apart.transformer_blocks[1].attn2.set_attention_slice(1)
    together = joined(apart)
    assert products(together) == ["to_qkv", "to_q", "to_k"] * 2
    pixels, text = given(2)
    wanted = answers_of(apart, pixels, text)
    torch.testing.assert_close(answers_of(together, pixels, text), wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_blocks_still_share_what_is_compiled() -> None:
    torch.compiler.reset()  # torch remembers what other tests compiled of the same classes
    apart = transformer_of(3)
    together = joined(apart)
    counter = CompileCounter()
    for block in together.transformer_blocks:
        block.compile(backend=counter, dynamic=False, fullgraph=True)
    for rows in (1, 2):
        pixels, text = given(rows)
        wanted = answers_of(apart, pixels, text)
        got = answers_of(together, pixels, text)
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)
    # One form for each number of rows, whichever block it is.
    assert counter.frame_count == 2


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own, as it loads
def test_compiled_blocks_give_the_same() -> None:
    apart = transformer_of(2)
    together = joined(apart)
    compile_blocks([together], ["BasicTransformerBlock"])
    pixels, text = given(2)
    wanted = answers_of(apart, pixels, text)
    got = answers_of(together, pixels, text)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)
