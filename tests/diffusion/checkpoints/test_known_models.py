"""What is known of models on the hub."""

import pytest

from writing_service.config import load_settings
from writing_service.diffusion.checkpoints.hub import HubModel
from writing_service.diffusion.checkpoints.known_models import (
    INSTEAD_OF,
    KNOWN,
    alternatives,
    family_named,
    known_bytes,
)
from writing_service.diffusion.checkpoints.parts import parts_of
from writing_service.types import ConditioningKind


def test_every_kind_of_control_image_has_a_model_that_works() -> None:
    for kind in ConditioningKind:
        assert alternatives("controlnet", [kind])
    assert alternatives("union", list(ConditioningKind))


def test_what_stands_in_for_a_wrong_id_is_known() -> None:
    assert {*INSTEAD_OF.values()} <= {one.id for one in KNOWN}
    assert not {*INSTEAD_OF} & {one.id for one in KNOWN}


def test_the_one_that_failed_is_not_offered_again() -> None:
    (first, *others) = alternatives("controlnet", ["canny"])

    assert alternatives("controlnet", ["canny"], but=first) == others


@pytest.mark.parametrize("pipeline", ["sdxl", "sdxl_union", "sdxl_fast"])
def test_shipped_configurations_name_known_models_only(pipeline: str) -> None:
    settings = load_settings([f"pipeline={pipeline}"]).ai_generation.models
    ids = {part.model.id for part in parts_of(settings) if isinstance(part.model, HubModel)}

    assert len(ids) >= 3
    assert ids <= {one.id for one in KNOWN}


def test_sizes_and_families() -> None:
    assert known_bytes("xinsir/controlnet-union-sdxl-1.0") == 2_500_000_000
    assert known_bytes("who/knows") is None
    assert family_named(2048) == "SDXL"
    assert family_named(None) == "another family"
