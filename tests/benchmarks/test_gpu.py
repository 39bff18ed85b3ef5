"""The GPU's benchmark, with tiny networks on a CPU."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gpu.__main__ import PARTS, main
from benchmarks.gpu.assembly import make_job
from benchmarks.gpu.drawing import all_savers, passes
from benchmarks.gpu.networks import SDXL, TINY, RandomModels, controlnet, unet
from benchmarks.gpu.options import parse
from benchmarks.gpu.report import Floor, figures_of
from benchmarks.gpu.trace import Span, busy_us, kernel_class

TRIED = ("floor", "plain", "engine", "plain_union", "savers", "clients", "stages", "trace")
TINY_RUN = [
    *("models=tiny", "device=cpu", "dtype=float32", "side=128", "steps=3", "repeats=1"),
    *("batches=1,2", "clients=2", "product=64", "only=exact"),
]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one run of the cheap parts leaves."""
    folder = tmp_path_factory.mktemp("gpu")
    parts = ",".join((*TRIED, "profiles", "report"))
    assert main([*TINY_RUN, f"parts={parts}", f"out={folder}"]) == 0
    return folder


def rows(out: Path, part: str) -> list[dict[str, Any]]:
    _, measured = figures_of(out / "figures.jsonl")
    return [dict(row) for row in measured if row["part"] == part]


@pytest.mark.parametrize("part", TRIED)
def test_a_part_measures(out: Path, part: str) -> None:
    measured = rows(out, part)

    assert measured
    assert not [row for row in measured if "skipped" in row or "failed" in row]


@pytest.mark.parametrize(("part", "least"), [("plain", 2), ("engine", 4), ("savers", 2)])
def test_pictures_are_told_with_their_floor(out: Path, part: str, least: int) -> None:
    pictures = rows(out, part)
    report = (out / "report.md").read_text(encoding="utf-8")

    assert len(pictures) == least
    assert all(row["seconds"] > 0 and row["repeats"] == 1 for row in pictures)
    assert all(f"| {row['name']} |" in report for row in pictures)
    assert "of floor" in report
    assert "against plain" in report


def test_rows_count_the_passes_of_the_networks(out: Path) -> None:
    two = next(row for row in rows(out, "engine") if row["pictures"] == 2)
    united = next(row for row in rows(out, "savers") if row["united"])

    assert (two["unet_rows"], two["control_rows"]) == (3 * 2 * 2, 3 * 2 * 2 * 4)
    assert (united["unet_rows"], united["control_rows"]) == (3 * 2, 3 * 2)


@pytest.mark.parametrize(
    ("saver", "rows"),
    [
        ("exact", (20, 0, 80)),
        ("ControlNets in 50 % of the steps", (20, 0, 40)),
        ("guidance in 60 % of the steps", (16, 0, 64)),
        ("every 3rd step whole", (8, 12, 32)),
        ("8 steps", (8, 0, 32)),
        ("preset balanced", (8, 8, 32)),
    ],
)
def test_savers_leave_out_what_they_say(saver: str, rows: tuple[int, ...]) -> None:
    job = replace(make_job(64, 10), **all_savers()[saver])

    assert tuple(passes(job, union=False).values())[:3] == rows


def test_all_clients_are_served_through_both_doors(out: Path) -> None:
    served = {row["name"]: row for row in rows(out, "clients")}

    assert set(served) == {
        f"{door}, {way}" for door in ("generator", "HTTP") for way in ("at once", "one at a time")
    }
    for row in served.values():
        assert row["clients"] == 2
        assert 0 < row["p50_seconds"] <= row["p95_seconds"]


def test_shares_of_kernels_make_a_whole(out: Path) -> None:
    assert sum(row.get("share", 0) for row in rows(out, "trace")) == pytest.approx(1)


def test_what_needs_a_gpu_says_so(out: Path) -> None:
    (told,) = rows(out, "profiles")

    assert told["skipped"] == "this part needs a CUDA device"


def test_a_part_that_does_not_fit_is_skipped_and_told(tmp_path: Path) -> None:
    assert main(["models=sdxl", "device=cpu", "parts=engine", "seconds=9", f"out={tmp_path}"]) == 0

    (told,) = rows(tmp_path, "engine")
    assert told["skipped"].startswith(f"it needs about {PARTS['engine'].seconds:.0f} s and")


def test_a_part_that_breaks_fails_the_run_but_not_the_others(tmp_path: Path) -> None:
    assert main([*TINY_RUN, "parts=floor,report", "product=-1", f"out={tmp_path}"]) == 1

    (told,) = rows(tmp_path, "floor")
    assert told["failed"].startswith("RuntimeError: ")
    assert told["failed"] in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("speed=9", "'speed=9' is unknown; write key=value with: parts, models"),
        ("parts=floor,roof", "Unknown part 'roof'; choose from: floor, plain"),
        ("models=huge", "'models' is one of: sdxl, tiny, embedded."),
        ("steps=many", "'steps' cannot be 'many'."),
    ],
)
def test_wrong_arguments_are_one_sentence(argument: str, told: str) -> None:
    with pytest.raises(SystemExit, match=told):
        parse([argument], list(PARTS))


def test_shapes_are_those_of_the_published_networks() -> None:
    with torch.device("meta"):
        sizes = [sum(one.numel() for one in f(SDXL).parameters()) for f in (unet, controlnet)]

    assert sizes == [2_567_463_684, 1_251_014_160]


def test_networks_are_born_on_their_device_in_their_format() -> None:
    base = RandomModels(TINY, torch.device("meta")).base(torch.bfloat16)

    for network in (base.unet, base.vae, base.text_encoder, base.text_encoder_2):
        assert {(one.device.type, one.dtype) for one in network.parameters()} == {
            ("meta", torch.bfloat16)
        }


def test_operations_grow_with_the_pixels(out: Path) -> None:
    large, small = [row for row in rows(out, "floor") if "unet" in row]

    assert large["embedding"] == pytest.approx(4 * small["embedding"])
    # Texts and timesteps cost the same at any size, attention grows with the square.
    assert 3 * small["unet"] < large["unet"] < 16 * small["unet"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16", "attention"),
        ("sm90_xmma_fprop_implicit_gemm_bf16bf16_bf16f32_f32_nhwckrsc_nhwc", "convolution"),
        ("void cudnn::engines_precompiled::nhwcToNchwKernel<__half>", "layout and copies"),
        ("nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_NNT", "product"),
        ("triton_tem_fused_addmm_3", "product"),
        ("void at::native::RowwiseMomentsCUDAKernel<float>", "norm"),
        ("triton_poi_fused_clone_copy_gelu_mul_5", "elementwise"),
        ("void at::native::CatArrayBatchedCopy<OpaqueType<2u>>", "layout and copies"),
        ("something new", "other"),
    ],
)
def test_kernels_are_told_by_their_class(name: str, kind: str) -> None:
    assert kernel_class(name) == kind


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), max_size=12))
def test_busy_time_counts_overlaps_once(spans: list[tuple[int, int]]) -> None:
    moments = {moment for start, long in spans for moment in range(start, start + long)}

    assert busy_us([Span("", start, long) for start, long in spans]) == len(moments)


def test_figures_of_another_card_or_models_are_left_out(tmp_path: Path) -> None:
    def run(card: str, models: str, seconds: float) -> list[dict[str, Any]]:
        return [head(card, models), {"part": "engine", "name": "ours", "seconds": seconds}]

    runs = [
        run("slow", "sdxl", 9),
        run("fast", "sdxl", 2),
        run("slow", "sdxl", 8),
        run("slow", "tiny", 1),
        [head("slow", "sdxl")],
    ]
    card, measured = figures_of(written(tmp_path, [line for one in runs for line in one]))

    assert (card, [row["seconds"] for row in measured]) == ("slow", [8])


def head(card: str, models: str) -> dict[str, Any]:
    return {"run": {"device": {"name": card}, "options": {"models": models}}}


def written(folder: Path, lines: list[dict[str, Any]]) -> Path:
    path = folder / "figures.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in lines), encoding="utf-8")
    return path


def test_the_floor_is_work_by_rate(tmp_path: Path) -> None:
    # 30 steps under guidance and four ControlNets: 60 × 6.76 + 240 × 2.96 + 11 TFLOP.
    work = {"unet": 6.76, "shallow": 1.0, "controlnet": 2.96, "union": 2.96}
    passes = {"unet_rows": 60, "shallow_rows": 0, "control_rows": 240, "united": False}
    told = {"side": 1024, "pictures": 1, **passes}
    lines = [
        head("NVIDIA H200", "sdxl"),
        {"part": "floor", "name": "product 8192³, bfloat16", "tflops": 1000.0},
        {"part": "floor", "name": "1024²", "side": 1024, **work, "embedding": 0, "decoding": 11},
        {"part": "plain", "name": "theirs", "seconds": 4.0, **told},
        {"part": "engine", "name": "ours", "seconds": 2.0, **told},
    ]
    _, measured = figures_of(written(tmp_path, lines))

    beside = Floor(measured).beside(measured[-1])

    assert beside == pytest.approx(
        {"tflop": 1127, "floor_seconds": 1.127, "of_floor": 0.5635, "against_plain": 2.0}
    )
