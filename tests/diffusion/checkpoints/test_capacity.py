"""The arithmetic of disk and memory."""

from pathlib import Path

import pytest

from writing_service.diffusion.checkpoints.capacity import (
    GIB,
    Demand,
    Machine,
    disk_shortage,
    gib,
    memory_shortage,
)

SDXL = Demand(17 * GIB, 5 * GIB)


def machine(disk: int = 0, memory: int = 0) -> Machine:
    return Machine(lambda _: disk * GIB, lambda: memory * GIB)


def test_a_disk_that_is_large_enough_is_no_shortage() -> None:
    assert disk_shortage(10 * GIB, Path("cache"), machine(disk=10)) is None


def test_a_small_disk_is_told_with_what_is_missing_and_what_to_set() -> None:
    told = disk_shortage(10 * GIB, Path("/the/cache"), machine(disk=4)) or ""

    assert "10.0 GiB" in told
    assert "6.0 GiB more" in told
    assert "/the/cache" in told
    assert "HF_HOME" in told


@pytest.mark.parametrize(
    ("memory", "device", "offloaded", "told"),
    [
        (20, None, False, None),
        (16, None, False, "17.0 GiB of main memory"),
        (20, 24, False, None),
        (20, 12, False, "enable_cpu_offload=true"),
        (20, 12, True, None),
        (20, 4, True, "5.0 GiB of the GPU's memory"),
        (16, 80, False, "17.0 GiB of main memory"),
    ],
)
def test_weights_must_fit_where_they_go(
    memory: int, device: int | None, offloaded: bool, told: str | None
) -> None:
    free = None if device is None else device * GIB
    shortage = memory_shortage(SDXL, machine(memory=memory), free, offloaded)

    assert (shortage is None) if told is None else (told in (shortage or ""))


def test_offloading_is_not_advised_to_who_offloads() -> None:
    shortage = memory_shortage(SDXL, machine(memory=20), 4 * GIB, offloaded=True) or ""

    assert "enable_cpu_offload" not in shortage
    assert "sdxl_union" in shortage


def test_the_real_machine_tells_something(tmp_path: Path) -> None:
    real = Machine()

    assert real.free_disk(tmp_path / "not" / "yet" / "there") > 0
    assert real.free_memory() > 0


@pytest.mark.parametrize(("size", "told"), [(GIB, "1.0 GiB"), (5 * 2**20, "5.0 MiB")])
def test_sizes_are_for_people(size: int, told: str) -> None:
    assert gib(size) == told
