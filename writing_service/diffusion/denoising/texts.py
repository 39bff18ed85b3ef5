"""Prompts as the UNet takes them: whole, or long ones by chunks. Each text is encoded once and kept for a while."""

import copy
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

KEPT = 64
"""So many texts are kept: one takes up to 0.6 MB of the device."""

MOST_CHUNKS = 4
"""Of a long prompt; each costs as much of every step as a whole short one."""

_MARKS = 2
"""Start and end, in every chunk."""


class TokenCounter:
    """Counts with copies of the tokenizers: encoding on another thread changes theirs."""

    def __init__(self, tokenizers: Sequence[Any], chunked: bool = False) -> None:
        """With `chunked` a prompt may have MOST_CHUNKS times as many tokens as the encoders read at once."""
        self._tokenizers = tuple(copy.deepcopy(one) for one in tokenizers)
        self._most_chunks = MOST_CHUNKS if chunked else 1
        self._lock = threading.Lock()
        self._whole = min(one.model_max_length for one in self._tokenizers)

    @property
    def limit(self) -> int:
        """Tokens of the longest prompt, with one start and one end."""
        return self._most_chunks * (self._whole - _MARKS) + _MARKS

    def count(self, text: str) -> int:
        """The most of all tokenizers, with start and end."""
        with self._lock:
            return max(len(one(text, verbose=False).input_ids) for one in self._tokenizers)

    def chunks(self, text: str) -> list[str]:
        """Parts that are read at once, as few as can be, cut between phrases, within one between words.

        At least one; without `chunked` just the text. What is still too long the encoders cut off.
        """
        if self._most_chunks == 1 or self.count(text) <= self._whole:
            return [text]
        chunks = [""]
        for piece in self._pieces(text):
            if self.count(longer := f"{chunks[-1]}{piece}") <= self._whole or not chunks[-1]:
                chunks[-1] = longer
            else:
                chunks.append(piece)
        return [chunk.strip(" ,") for chunk in chunks]

    def _pieces(self, text: str) -> list[str]:
        """Phrases with the commas behind them; one that is too long falls into words."""
        phrases = _split_behind(text, ", ")
        return [
            piece
            for phrase in phrases
            for piece in (
                [phrase] if self.count(phrase) <= self._whole else _split_behind(phrase, " ")
            )
        ]


@dataclass(frozen=True)
class EncodedText:
    """States (rows, tokens, width) and pooled (rows, width)."""

    states: Tensor
    pooled: Tensor


class TextEncoders:
    """The text encoders of a diffusers pipeline. One thread at a time.

    Every text is encoded alone, so that what comes out does not depend on the texts beside it.
    """

    def __init__(self, base: Any, device: torch.device, counter: TokenCounter) -> None:
        self._base = base
        self._device = device
        self._counter = counter
        self._kept = OrderedDict[str, EncodedText]()

    def encode(self, prompt: str, negative_prompt: str, guided: bool) -> EncodedText:
        """One row; under guidance two, the unconditional one first.

        The states of a long text's chunks stand behind one another; the pooled ones are the first chunk's. The
        shorter row of two is filled with chunks of no text. An empty negative prompt is none: the model's
        configuration says whether that means zeros.
        """
        wanted = self._encoded(prompt)
        if not guided:
            return wanted
        unwanted = self._unwanted(negative_prompt, wanted)
        tokens = max(wanted.states.shape[1], unwanted.states.shape[1])
        rows = [self._filled(one, tokens) for one in (unwanted, wanted)]
        return EncodedText(
            torch.cat([row.states for row in rows]), torch.cat([row.pooled for row in rows])
        )

    def chunks(self, prompt: str, negative_prompt: str, guided: bool) -> int:
        """How many chunks of states `encode` will give. On any thread."""
        texts = [prompt, negative_prompt] if guided else [prompt]
        return max(len(self._counter.chunks(text)) for text in texts)

    def _unwanted(self, text: str, wanted: EncodedText) -> EncodedText:
        if not text and self._base.config.force_zeros_for_empty_prompt:
            return EncodedText(torch.zeros_like(wanted.states), torch.zeros_like(wanted.pooled))
        return self._encoded(text)

    def _filled(self, text: EncodedText, tokens: int) -> EncodedText:
        missing = tokens - text.states.shape[1]
        if not missing:
            return text
        empty = self._chunk("").states
        states = torch.cat([text.states, *[empty] * (missing // empty.shape[1])], dim=1)
        return EncodedText(states, text.pooled)

    def _encoded(self, text: str) -> EncodedText:
        chunks = [self._chunk(one) for one in self._counter.chunks(text)]
        return EncodedText(torch.cat([one.states for one in chunks], dim=1), chunks[0].pooled)

    def _chunk(self, text: str) -> EncodedText:
        if text not in self._kept:
            states, _, pooled, _ = self._base.encode_prompt(
                text, device=self._device, do_classifier_free_guidance=False
            )
            self._kept[text] = EncodedText(states, pooled)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(text)
        return self._kept[text]


def _split_behind(text: str, separator: str) -> list[str]:
    """ "a, b" → "a, ", "b": joined they are the text."""
    *parts, last = text.split(separator)
    return [f"{part}{separator}" for part in parts] + [last]
