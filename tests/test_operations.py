"""docs/operations.md: its overrides compose, and its tables say what the code does."""

import re
from pathlib import Path

import pytest

from tests.diffusion.test_gpu import gpu_of, profile_on
from writing_service.config import load_settings
from writing_service.diffusion.device.profiles import BY_MEMORY

DOCUMENT = (Path(__file__).parents[1] / "docs" / "operations.md").read_text("utf-8")
OVERRIDES = sorted(
    set(
        re.findall(
            r"(?:pipeline|(?:ai_generation|api|jobs|logging)\.[\w.]+)=[\w./:-]*[\w]", DOCUMENT
        )
    )
)


def rows(heading: str) -> list[list[str]]:
    """Cells of the table whose first line begins so."""
    table = DOCUMENT[DOCUMENT.index(f"| {heading} |") :].partition("\n\n")[0]
    return [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


def test_there_are_overrides_to_test() -> None:
    assert len(OVERRIDES) >= 25
    assert "ai_generation.gpu.enable_cpu_offload=true" in OVERRIDES


@pytest.mark.parametrize("override", OVERRIDES)
def test_every_override_of_the_page_composes(override: str) -> None:
    assert load_settings([override]).ai_generation


def test_every_symptom_has_a_remedy() -> None:
    for symptom, _cause, remedy in rows("symptom"):
        told = re.findall(r"[\w.]+=|restart|POST", remedy)
        assert told, symptom


def test_the_profiles_are_the_codes() -> None:
    listed = [(row[0], row[2], row[3] == "yes") for row in rows("profile")][:-1]
    assert listed == [
        (one.name, str(one.max_batch_size), one.use_torch_compile) for _, one in BY_MEMORY
    ]


@pytest.mark.parametrize("column", [1, 2])
def test_what_each_card_needs_is_what_the_code_does(column: int) -> None:
    pipeline = ("sdxl", "sdxl_union")[column - 1]
    for row in rows("card"):
        for gigabytes in re.findall(r"\d+", row[0]):
            # As such a card reports itself, in GiB.
            profile = profile_on(gpu_of(0.98 * float(gigabytes)), pipeline=pipeline)
            told = row[column]
            layers = profile.enable_sequential_cpu_offload
            assert layers == told.startswith("layer by layer"), (row, gigabytes)
            assert (profile.enable_cpu_offload and not layers) == ("turns" in told), (
                row,
                gigabytes,
            )
            assert told.startswith("all at once") == (not profile.enable_cpu_offload)
            assert ("tiles" in told) == (
                profile.enable_vae_tiling and not profile.enable_cpu_offload
            )
