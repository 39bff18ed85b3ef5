"""Prompts as the UNet takes them. Each text is encoded once and kept for a while."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

KEPT = 64
"""So many texts are kept: one takes up to 0.6 MB of the device."""


@dataclass(frozen=True)
class EncodedText:
    """States (rows, tokens, width) and pooled (rows, width)."""

    states: Tensor
    pooled: Tensor


class TextEncoders:
    """The text encoders of a diffusers pipeline. One thread at a time.

    Every text is encoded alone, so that what comes out does not depend on the texts beside it.
    """

    def __init__(self, base: Any, device: torch.device) -> None:
        self._base = base
        self._device = device
        self._kept = OrderedDict[str, EncodedText]()

    def encode(self, prompt: str, negative_prompt: str, guided: bool) -> EncodedText:
        """One row; under guidance two, the unconditional one first.

        An empty negative prompt is none: the model's configuration says whether that means zeros.
        """
        wanted = self._encoded(prompt)
        if not guided:
            return wanted
        unwanted = self._unwanted(negative_prompt, wanted)
        return EncodedText(
            torch.cat([unwanted.states, wanted.states]), torch.cat([unwanted.pooled, wanted.pooled])
        )

    def _unwanted(self, text: str, wanted: EncodedText) -> EncodedText:
        if not text and self._base.config.force_zeros_for_empty_prompt:
            return EncodedText(torch.zeros_like(wanted.states), torch.zeros_like(wanted.pooled))
        return self._encoded(text)

    def _encoded(self, text: str) -> EncodedText:
        if text not in self._kept:
            states, _, pooled, _ = self._base.encode_prompt(
                text, device=self._device, do_classifier_free_guidance=False
            )
            self._kept[text] = EncodedText(states, pooled)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(text)
        return self._kept[text]
