"""What a sample shows of its subject: in the picture, in the control images, in the captions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from training.captions import COMMON
from training.samples import FROM_TEXT, WORD_ALONE, Sample, SampleMaker
from writing_service.scene.composition import SceneComposer
from writing_service.scene.pictograms import PictogramLibrary
from writing_service.types import Scene, Size

SIZE = Size(96, 96)
COUNT = 240


class WithoutSubjects:
    """Composes as ever, then takes the subject away."""

    def __init__(self, composer: SceneComposer) -> None:
        self._composer = composer

    def compose(self, *place: Any, **wishes: Any) -> Scene:
        return replace(self._composer.compose(*place, **wishes), pictogram=None, backdrop=None)


@dataclass(frozen=True)
class Pair:
    """A sample, and the same composed without its subject."""

    sample: Sample
    bare: Sample

    @property
    def has_subject(self) -> bool:
        return self.sample.concept >= 0

    @property
    def controlled(self) -> bool:
        """Whether the control images show the subject."""
        return not np.array_equal(self.sample.controls, self.bare.controls)

    @property
    def painted(self) -> float:
        """The share of the picture that the subject changes plainly."""
        change = np.abs(self.sample.target.astype(int) - self.bare.target).max(axis=0)
        return float((change > 24).mean())


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    maker, bare = SampleMaker(5), SampleMaker(5)
    bare.composer = WithoutSubjects(bare.composer)
    return [Pair(maker.make(number, SIZE), bare.make(number, SIZE)) for number in range(COUNT)]


def share(some: Sequence[Pair]) -> float:
    return len(some) / COUNT


def test_a_subject_is_in_the_picture_and_mostly_in_the_control_images(pairs: list[Pair]):
    shown = [pair for pair in pairs if pair.controlled]
    assert all(pair.has_subject and pair.painted > 0.02 for pair in shown)
    assert share(shown) == pytest.approx(1 - FROM_TEXT - WORD_ALONE, abs=0.06)
    assert len({pair.sample.concept for pair in shown}) > 0.8 * len(shown)


def test_some_common_subjects_are_painted_where_only_the_captions_tell_of_them(pairs: list[Pair]):
    from_text = [pair for pair in pairs if pair.has_subject and not pair.controlled]
    assert share(from_text) == pytest.approx(FROM_TEXT, abs=0.04)
    names = PictogramLibrary().names()
    for pair in from_text:
        name = names[pair.sample.concept]
        assert name in COMMON
        assert name in pair.sample.captions[1]
        assert pair.painted > 0.02


def test_a_word_alone_is_calm_whether_or_not_it_has_a_meaning(pairs: list[Pair]):
    alone = [pair for pair in pairs if not pair.has_subject]
    assert share(alone) == pytest.approx(WORD_ALONE, abs=0.04)
    assert not any(pair.controlled or pair.painted for pair in alone)
    loose = [pair.sample.captions[1] for pair in alone]
    assert {"a calm scene" in caption for caption in loose} == {True, False}
