"""Where a machine reads, and what it is given."""

import cv2
import numpy as np

from tests.legibility.conftest import WordOf
from writing_service.legibility.layers import HEIGHT, crop_of, layers
from writing_service.types import RenderedWord, TextDirection


def test_the_crop_holds_the_word_and_little_else(word_of: WordOf):
    word = word_of("owl")
    crop = crop_of(np.asarray(word.image), word)
    assert crop.shape[0] == HEIGHT
    assert (crop < 128).any(0)[: crop.shape[1] // 5].any()
    assert (crop > 200).mean() < 0.9


def test_a_column_is_laid_across(word_of: WordOf):
    word = word_of("望远镜", direction=TextDirection.VERTICAL)
    crop = crop_of(np.asarray(word.image), word)
    assert crop.shape == (HEIGHT, 3 * HEIGHT, 3)
    assert all((cell < 128).mean() > 0.1 for cell in np.hsplit(crop, 3))


def test_a_layer_shows_what_grey_hides():
    """Two colours of one luminance."""
    crop = np.full((96, 96, 3), (200, 90, 60), np.uint8)
    crop[30:60, 30:60] = (70, 140, 90)
    grey, *others = layers(crop)
    assert np.ptp(grey) < 16
    assert any(np.ptp(layer) == 255 for layer in others)


def test_a_layer_holds_what_an_outline_encloses_whatever_its_colours():
    """A ring filled with a run of colours that the ground has too, on a ground that reaches the edge."""
    run = np.linspace(120, 250, 120).astype(np.uint8)
    crop = np.dstack([np.tile(run, (100, 1))] * 2 + [np.tile(run[::-1], (100, 1))])
    filled = np.zeros((100, 120), bool)
    filled[30:70, 30:90] = True
    outlined = cv2.dilate(filled.astype(np.uint8), np.ones((9, 9))) > 0
    crop[outlined & ~filled] = 10
    assert any(((layer == 0) == filled).all() for layer in layers(crop))
    crop[50:52, 26:30] = crop[0, :4]  # a gap of two pixels
    assert any(((layer == 0) == filled).all() for layer in layers(crop))


def test_ink_too_fine_to_cover_half_a_pixel_is_found():
    mask = np.zeros((60, 80), np.uint8)
    mask[20:30, 30:50] = 90
    crop = crop_of(
        np.asarray(RenderedWord("x", "Latin", "", mask).image), RenderedWord("x", "Latin", "", mask)
    )
    assert crop.shape[0] == HEIGHT
