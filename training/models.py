"""The small networks of the embedded checkpoint: SDXL's own classes, with few and narrow layers.

Sizes are chosen so that the whole checkpoint stays under 30 MiB in fp16 and one 512×512 picture takes
seconds on two CPU cores. The four ControlNets share one set of weights: the kind of control image is
plain from the image itself, and three more copies would cost 16 MB.
"""

import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    EulerAncestralDiscreteScheduler,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

LATENT_CHANNELS = 16
LATENT_FACTOR = 16
BLOCK_CHANNELS = (96, 128, 160)
TEXT_WIDTHS = (64, 128)
POOLED_WIDTH = 192
TIME_ID_WIDTH = 32
TIME_WIDTH = 128

_CONDITIONING = {
    "block_out_channels": BLOCK_CHANNELS,
    "layers_per_block": 1,
    "in_channels": LATENT_CHANNELS,
    # Despite its name, diffusers reads this as the number of heads.
    "attention_head_dim": tuple(channels // 32 for channels in BLOCK_CHANNELS),
    "cross_attention_dim": sum(TEXT_WIDTHS),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": TIME_ID_WIDTH,
    "projection_class_embeddings_input_dim": POOLED_WIDTH + 6 * TIME_ID_WIDTH,
    "norm_num_groups": 16,
}


def build_vae() -> AutoencoderKL:
    """16× downsampling, 16 latent channels: 512×512 becomes 32×32."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 5,
        up_block_types=("UpDecoderBlock2D",) * 5,
        block_out_channels=(16, 32, 64, 96, 128),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=512,
        force_upcast=False,
        mid_block_add_attention=False,
        scaling_factor=1.0,
    )


def build_unet() -> UNet2DConditionModel:
    """8.1 M parameters; cross-attention at the two lower of three levels.

    The narrow time embedding saves a million: every block has a projection of it.
    """
    return UNet2DConditionModel(
        sample_size=32,
        out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 1, 1),
        resnet_time_scale_shift="scale_shift",
        time_embedding_dim=TIME_WIDTH,
        **_CONDITIONING,
    )


def build_controlnet() -> ControlNetModel:
    """2.6 M parameters; convolutions only. Five widths bring the control image down 16 times."""
    return ControlNetModel(
        down_block_types=("DownBlock2D",) * 3,
        mid_block_type="UNetMidBlock2D",
        conditioning_embedding_out_channels=(8, 16, 32, 64, 96),
        **_CONDITIONING,
    )


def build_text_encoders(
    tokenizer: CLIPTokenizer,
) -> tuple[CLIPTextModel, CLIPTextModelWithProjection]:
    """SDXL's pair, 64 and 128 wide."""
    shared = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 77,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.eos_token_id,
        "hidden_act": "gelu",
    }
    narrow, wide = TEXT_WIDTHS
    first = CLIPTextConfig(
        hidden_size=narrow,
        intermediate_size=4 * narrow,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=narrow,
        **shared,
    )
    second = CLIPTextConfig(
        hidden_size=wide,
        intermediate_size=4 * wide,
        num_hidden_layers=3,
        num_attention_heads=4,
        projection_dim=POOLED_WIDTH,
        **shared,
    )
    return CLIPTextModel(first), CLIPTextModelWithProjection(second)


def build_scheduler() -> EulerAncestralDiscreteScheduler:
    """v-prediction with zero terminal SNR (arXiv:2305.08891), trailing steps.

    Fresh noise at every step lets later steps mend what the first ones mistook; without it the strokes
    come out frayed.
    """
    return EulerAncestralDiscreteScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        rescale_betas_zero_snr=True,
        prediction_type="v_prediction",
        timestep_spacing="trailing",
    )


def encode_text(
    encoders: tuple[CLIPTextModel, CLIPTextModelWithProjection], tokens: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids (batch, 77) → SDXL's conditioning: (batch, 77, 192) states and (batch, 192) pooled.

    As `StableDiffusionXLPipeline.encode_prompt`: the last layer but one of both, side by side.
    """
    first = encoders[0](tokens, output_hidden_states=True)
    second = encoders[1](tokens, output_hidden_states=True)
    states = torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1)
    return states, second.text_embeds
