"""Models of the Hugging Face hub that are known to fit: data, for advice and for sizes before anything is asked."""

from collections.abc import Iterable
from dataclasses import dataclass

GB = 10**9


@dataclass(frozen=True)
class KnownModel:
    """`role` is a part's (base, vae, controlnet, union, lora). `kinds` are those of control images.

    `gigabytes` (10⁹ bytes) are about what the service fetches of it: the fp16 files where there are
    some. None where that is not known.
    """

    id: str
    role: str
    gigabytes: float | None
    kinds: tuple[str, ...] = ()


KNOWN = (
    KnownModel("stabilityai/stable-diffusion-xl-base-1.0", "base", 6.9),
    KnownModel("madebyollin/sdxl-vae-fp16-fix", "vae", 0.34),
    KnownModel("diffusers/controlnet-canny-sdxl-1.0", "controlnet", 2.5, ("canny",)),
    KnownModel("xinsir/controlnet-canny-sdxl-1.0", "controlnet", 2.5, ("canny",)),
    KnownModel("diffusers/controlnet-depth-sdxl-1.0", "controlnet", 2.5, ("depth",)),
    KnownModel("xinsir/controlnet-depth-sdxl-1.0", "controlnet", 2.5, ("depth",)),
    KnownModel("SargeZT/sdxl-controlnet-seg", "controlnet", None, ("segmentation",)),
    KnownModel("abovzv/sdxl_segmentation_controlnet_ade20k", "controlnet", 5.0, ("segmentation",)),
    KnownModel("xinsir/controlnet-scribble-sdxl-1.0", "controlnet", 2.5, ("scribble",)),
    KnownModel("xinsir/controlnet-union-sdxl-1.0", "union", 2.5),
    KnownModel("ByteDance/SDXL-Lightning", "lora", 0.39),
    KnownModel("latent-consistency/lcm-lora-sdxl", "lora", 0.39),
)

INSTEAD_OF = {
    "diffusers/controlnet-seg-sdxl-1.0": "SargeZT/sdxl-controlnet-seg",
    "diffusers/controlnet-scribble-sdxl-1.0": "xinsir/controlnet-scribble-sdxl-1.0",
}
"""Ids that guides name although the hub has no such model, and ones that work."""

SDXL = "stabilityai/stable-diffusion-xl-base-1.0"
"""Whose configuration single files of the family share."""

FAMILIES = {768: "Stable Diffusion 1", 1024: "Stable Diffusion 2", 2048: "SDXL"}
"""By the width of the text that a network reads (`cross_attention_dim`)."""


def known_bytes(model_id: str) -> int | None:
    """What a model takes on disk, about; None where it is not known."""
    found = next((one.gigabytes for one in KNOWN if one.id == model_id), None)
    return None if found is None else int(found * GB)


def alternatives(role: str, kinds: Iterable[str], but: str = "") -> list[str]:
    """Ids that are known to work in a part's place."""
    wanted = set(kinds) if role == "controlnet" else set[str]()
    return [
        one.id for one in KNOWN if one.role == role and wanted <= {*one.kinds} and one.id != but
    ]


def family_named(width: object) -> str:
    """Of a network that reads text of this width."""
    return FAMILIES.get(width, "another family") if isinstance(width, int) else "another family"
