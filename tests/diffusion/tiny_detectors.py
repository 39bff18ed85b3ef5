"""Folders of tiny random detectors of the real classes, laid out as the published ones are."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    BitConfig,
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTConfig,
    DPTForDepthEstimation,
    DPTImageProcessorPil,
    SamConfig,
    SamImageProcessorPil,
    SamMaskDecoderConfig,
    SamModel,
    SamProcessor,
    SamPromptEncoderConfig,
    SamVisionConfig,
)

_DPT: dict[str, Any] = {
    "neck_hidden_sizes": [8, 16, 16, 16],
    "fusion_hidden_size": 16,
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "backbone_out_indices": [0, 1, 2, 3],
    "image_size": 64,
    "patch_size": 16,
    "use_auxiliary_head": False,
}


def write_dpt(folder: Path) -> None:
    """MiDaS' plain shape: 64×64 in patches of 16."""
    config = DPTConfig(**_DPT, is_hybrid=False)
    _save_depth(DPTForDepthEstimation(_seeded(config)), folder, 64, 32)


def write_hybrid_dpt(folder: Path) -> None:
    """MiDaS' hybrid shape, of the default's kind: a small ResNet before the transformer."""
    backbone = BitConfig(
        global_padding="same",
        layer_type="bottleneck",
        depths=[1, 1, 1],
        out_features=["stage1", "stage2", "stage3"],
        embedding_dynamic_padding=True,
        hidden_sizes=[8, 16, 24, 32],
        embedding_size=8,
        num_groups=4,
    )
    config = DPTConfig(
        **_DPT,
        is_hybrid=True,
        backbone_config=backbone,
        backbone_featmap_shape=[1, 24, 4, 4],
    )
    _save_depth(DPTForDepthEstimation(_seeded(config)), folder, 64, 1)


def write_depth_anything(folder: Path, **changes: Any) -> None:
    """56×56 in patches of 14. `changes` are further fields of its configuration."""
    backbone = Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        image_size=56,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=14,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=16,
        head_hidden_size=8,
        **changes,
    )
    _save_depth(DepthAnythingForDepthEstimation(_seeded(config)), folder, 56, 14)


def write_sam(folder: Path) -> None:
    """64×64 in patches of 16."""
    config = SamConfig(
        vision_config=SamVisionConfig(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=64,
            patch_size=16,
            output_channels=16,
            mlp_dim=32,
            global_attn_indexes=[1],
            window_size=2,
            num_pos_feats=8,
        ),
        prompt_encoder_config=SamPromptEncoderConfig(
            hidden_size=16, image_size=64, patch_size=16, mask_input_channels=8
        ),
        mask_decoder_config=SamMaskDecoderConfig(
            hidden_size=16,
            mlp_dim=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            iou_head_hidden_dim=16,
        ),
    )
    SamModel(_seeded(config)).save_pretrained(folder)
    image_processor = SamImageProcessorPil(
        size={"longest_edge": 64}, pad_size={"height": 64, "width": 64}
    )
    SamProcessor(image_processor).save_pretrained(folder)


def _save_depth(network: Any, folder: Path, side: int, multiple: int) -> None:
    _wake(network).save_pretrained(folder)
    DPTImageProcessorPil(
        size={"height": side, "width": side}, keep_aspect_ratio=True, ensure_multiple_of=multiple
    ).save_pretrained(folder)


def _wake(network: Any) -> Any:
    """Untrained, all pixels would come out nearly alike."""
    for parameter in network.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter)
    # What comes last cuts off what is below zero or squeezes what is far from it.
    last = [one for one in network.head.modules() if isinstance(one, torch.nn.Conv2d)][-1]
    torch.nn.init.normal_(last.weight, std=0.01)
    torch.nn.init.constant_(last.bias, 1.0)
    return network


def _seeded(config: Any) -> Any:
    torch.manual_seed(3)
    return config
