"""Choosing methods and drawing them at once."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from PIL import Image

from writing_service.conditioning.base import ConditioningGenerator
from writing_service.conditioning.canny import CannyConditioning
from writing_service.conditioning.fan_out import ConditioningFanOut, build_fan_out
from writing_service.conditioning.registry import MethodRegistry
from writing_service.errors import (
    ConfigurationError,
    MethodUnavailable,
    ModelsUnavailable,
    UnknownMethod,
)
from writing_service.types import ConditioningKind, Scene

CANNY, DEPTH = ConditioningKind.CANNY, ConditioningKind.DEPTH


def test_requested_before_configured_before_chance():
    fan_out = build_fan_out()
    chosen = fan_out.choose_methods(
        {CANNY: "opencv_canny"},
        {CANNY: "adaptive_canny", DEPTH: "stroke_thickness_depth"},
        4,
    )
    assert chosen[CANNY] == "opencv_canny"
    assert chosen[DEPTH] == "stroke_thickness_depth"
    assert set(chosen) == set(ConditioningKind)


def test_the_seed_decides_what_is_left_open():
    fan_out = build_fan_out()
    choices = [fan_out.choose_methods({}, {}, seed) for seed in range(30)]
    assert choices[3] == fan_out.choose_methods({}, {}, 3)
    assert len({tuple(one.values()) for one in choices}) > 5


def test_chance_keeps_to_what_suits_the_style_and_the_script():
    fan_out = build_fan_out()

    def ever(kind: ConditioningKind, style: str, script: str) -> set[str]:
        chosen = (fan_out.choose_methods({}, {}, seed, style, script) for seed in range(200))
        return {one[kind] for one in chosen}

    segmentation, scribble = ConditioningKind.SEGMENTATION, ConditioningKind.SCRIBBLE
    assert "radical_segmentation" in ever(segmentation, "ink", "Han")
    assert "radical_segmentation" not in ever(segmentation, "ink", "Arabic")
    assert "hand_drawn_simulation" in ever(scribble, "ink", "Arabic")
    assert "hand_drawn_simulation" not in ever(scribble, "realistic", "Arabic")
    asked = fan_out.choose_methods({segmentation: "radical_segmentation"}, {}, 1, "ink", "Arabic")
    assert asked[segmentation] == "radical_segmentation"


def test_where_nothing_suits_chance_takes_any():
    methods = MethodRegistry(CANNY)

    @methods.register_for(styles=("comic",))
    def narrow(glyph) -> Image.Image:
        return Image.new("L", (1, 1))

    assert methods.suiting("ink", "Han") == ("narrow",)


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(UnknownMethod, match="opencv_canny, adaptive_canny") as caught:
        build_fan_out().choose_methods({CANNY: "sobel"}, {}, 1)
    assert caught.value.fields[0].field == "conditioning_methods.canny"


@dataclass
class Learned:
    """A learned method that is never drawn."""

    needs: str | None
    by_chance: bool = True
    kind: ConditioningKind = CANNY
    name: str = "learned_edges"
    model: str = "someone/edges"

    def missing(self) -> str | None:
        return self.needs

    def draw(self, glyph) -> Image.Image:
        raise AssertionError("never drawn")


@pytest.mark.parametrize(
    ("learned", "chosen"),
    [(Learned(None), True), (Learned(None, by_chance=False), False), (Learned("needs it"), False)],
)
def test_chance_takes_learned_methods_that_are_at_hand_and_quick(learned: Learned, chosen: bool):
    fan_out = build_fan_out(learned=[learned])
    names = {fan_out.choose_methods({}, {}, seed)[CANNY] for seed in range(100)}
    assert ("learned_edges" in names) == chosen


def test_what_the_configuration_names_must_exist():
    fan_out = build_fan_out(learned=[Learned("needs its weights")])
    fan_out.check_configured({CANNY: "learned_edges", DEPTH: None})
    with pytest.raises(ConfigurationError, match=r"conditioning\.methods.*Unknown canny.*sobel"):
        fan_out.check_configured({CANNY: "sobel"})


def test_a_missing_method_is_the_clients_to_mend_only_if_the_client_asked():
    fan_out = build_fan_out(learned=[Learned("needs its weights")])
    with pytest.raises(MethodUnavailable, match="'learned_edges' needs its weights"):
        fan_out.choose_methods({CANNY: "learned_edges"}, {}, 1)
    with pytest.raises(ModelsUnavailable, match=r"configured.*'learned_edges' needs its weights"):
        fan_out.choose_methods({}, {CANNY: "learned_edges"}, 1)
    assert fan_out.missing_methods() == {"learned_edges": "needs its weights"}
    assert "learned_edges" not in fan_out.methods()[CANNY]


async def test_all_four_kinds_are_drawn(scene: Scene):
    fan_out = build_fan_out()
    methods = fan_out.choose_methods({}, {}, 1)
    images = await fan_out.generate(scene, methods, 1)
    assert {kind: one.method for kind, one in images.items()} == methods
    for kind, one in images.items():
        assert one.image.tobytes() == fan_out.draw(scene, kind, methods[kind], 1).image.tobytes()


async def test_the_kinds_run_at_the_same_time_and_not_on_the_event_loop(scene: Scene):
    """Each method waits until the other has begun: one after the other, they would wait for ever."""
    meeting = threading.Barrier(2, timeout=10)
    loops_thread = threading.get_ident()
    seen = list[int]()

    def generator(kind: ConditioningKind) -> ConditioningGenerator:
        methods = MethodRegistry(kind)

        @methods.register
        def waiting(glyph) -> Image.Image:
            seen.append(threading.get_ident())
            meeting.wait()
            return Image.new("L", (glyph.size.width, glyph.size.height))

        class Waiting(CannyConditioning):
            registry = methods

        return Waiting()

    generators: Mapping[ConditioningKind, ConditioningGenerator] = {
        kind: generator(kind) for kind in (CANNY, DEPTH)
    }
    images = await ConditioningFanOut(generators).generate(
        scene, dict.fromkeys(generators, "waiting"), 1
    )
    assert set(images) == {CANNY, DEPTH}
    assert loops_thread not in seen


def test_configured_numbers_reach_their_method(scene: Scene):
    fine = build_fan_out({"opencv_canny": {"low": 1, "high": 2}})
    coarse = build_fan_out({"opencv_canny": {"low": 900, "high": 1900}})
    picture = fine.draw(scene, CANNY, "opencv_canny", 1).image
    assert picture.tobytes() != coarse.draw(scene, CANNY, "opencv_canny", 1).image.tobytes()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"opencv_kanny": {}}, "opencv_kanny.*there are: opencv_canny"),
        ({"opencv_canny": {"lo": 3}}, "opencv_canny.lo.*has: low, high"),
        ({"opencv_canny": {"low": -1}}, "must be a number of 0 or more"),
        ({"opencv_canny": {"low": 1.5}}, "must be a whole number"),
    ],
)
def test_wrong_numbers_are_told_with_their_key(options, told: str):
    with pytest.raises(ConfigurationError, match=told):
        build_fan_out(options)
