"""The UNet at one step: a whole pass, or a shallow one that reuses what a whole one found deep inside.

What the UNet makes far from its surface changes little from step to step. A shallow pass runs its first and its last
block alone, and takes the rest from an earlier step: Ma, Fang and Wang, "DeepCache: Accelerating Diffusion Models for
Free", 2023. So do the ControlNets, whose part in the first block's skip connections is kept, too.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from writing_service.diffusion.denoising.steering import Residuals, StepInput


@dataclass(frozen=True)
class DeepFeatures:
    """What a whole pass left for shallow ones, for some rows.

    `hidden` (rows, channels, height, width) is what the last block was given from below, `residuals` what the
    ControlNets added to each of its skip connections; there are none without ControlNets.
    """

    hidden: Tensor
    residuals: tuple[Tensor, ...]

    @property
    def tensors(self) -> list[Tensor]:
        """All of it, in an order of its own."""
        return [self.hidden, *self.residuals]

    @property
    def form(self) -> tuple[Any, ...]:
        """Equal for those that differ in the values of their tensors alone."""
        return tuple(tuple(one.shape) for one in self.tensors)

    def copy(self) -> "DeepFeatures":
        """Another of the same values."""
        return DeepFeatures(self.hidden.clone(), tuple(one.clone() for one in self.residuals))

    def of_rows(self, start: int, end: int | None) -> "DeepFeatures":
        """Of the rows from `start` on, up to `end`."""
        return DeepFeatures(self.hidden[start:end], tuple(one[start:end] for one in self.residuals))

    @staticmethod
    def together(some: Sequence["DeepFeatures"]) -> "DeepFeatures":
        """The rows of all, one after the other. Those without ControlNets have zeros in their place."""
        skips = max((one.residuals for one in some), key=len)
        whole = [one if one.residuals else one._with_zeros(skips) for one in some]
        columns = zip(*(one.residuals for one in whole), strict=True)
        return DeepFeatures(
            torch.cat([one.hidden for one in whole]), tuple(torch.cat(column) for column in columns)
        )

    def _with_zeros(self, like: Sequence[Tensor]) -> "DeepFeatures":
        rows = len(self.hidden)
        return DeepFeatures(self.hidden, tuple(one.new_zeros(rows, *one.shape[1:]) for one in like))


class SteppedUNet:
    """A diffusers UNet2DConditionModel, run whole or shallow. One thread at a time."""

    def __init__(self, unet: Any) -> None:
        self._unet = unet

    @property
    def config(self) -> Any:
        """Of the network."""
        return self._unet.config

    def whole(self, step: StepInput, residuals: Residuals | None) -> Tensor:
        """The answer (rows, channels, height, width) to all rows."""
        return self._unet(
            step.sample,
            step.timestep,
            encoder_hidden_states=step.states,
            timestep_cond=step.guidance,
            down_block_additional_residuals=residuals and residuals.down,
            mid_block_additional_residual=residuals and residuals.mid,
            added_cond_kwargs=dict(step.added),
            return_dict=False,
        )[0]

    def whole_and_deep(
        self, step: StepInput, residuals: Residuals | None
    ) -> tuple[Tensor, DeepFeatures]:
        """The same, and what shallow passes need of it."""
        with _given_to(self._unet.up_blocks[-1]) as given:
            answer = self.whole(step, residuals)
        skips = tuple(residuals.down[: self._skips]) if residuals else ()
        return answer, DeepFeatures(given["hidden_states"], skips)

    def shallow(self, step: StepInput, deep: DeepFeatures) -> Tensor:
        """The answer to all rows, by the first and the last block alone."""
        self._bring_to_device()
        embedding = self._embedding(step)
        first, last = self._unet.down_blocks[0], self._unet.up_blocks[-1]
        surface = self._unet.conv_in(step.sample)
        _, answers = first(hidden_states=surface, temb=embedding, **_text(first, step))
        skips = (surface, *answers)[: self._skips]
        if deep.residuals:
            skips = tuple(one + more for one, more in zip(skips, deep.residuals, strict=True))
        hidden = last(
            hidden_states=deep.hidden,
            temb=embedding,
            res_hidden_states_tuple=skips,
            **_text(last, step),
        )
        return self._unet.conv_out(self._unet.conv_act(self._unet.conv_norm_out(hidden)))

    @property
    def offloaded(self) -> bool:
        """Whether it waits in main memory for its turn."""
        return hasattr(self._unet, "_hf_hook")

    @property
    def _skips(self) -> int:
        """Skip connections that end in the last block; all of them begin before or in the first."""
        return len(self._unet.up_blocks[-1].resnets)

    def _embedding(self, step: StepInput) -> Tensor:
        """Of time, size and pooled text, as the network itself makes it."""
        unet = self._unet
        of_time = unet.get_time_embed(sample=step.sample, timestep=step.timestep)
        embedding = unet.time_embedding(of_time, step.guidance)
        return embedding + unet.get_aug_embed(
            emb=embedding, encoder_hidden_states=step.states, added_cond_kwargs=dict(step.added)
        )

    def _bring_to_device(self) -> None:
        """An offloaded network comes when it is called as a whole, which a shallow pass does not."""
        if self.offloaded:
            self._unet._hf_hook.pre_forward(self._unet)


@contextmanager
def _given_to(block: Any) -> Generator[Mapping[str, Any]]:
    """The keywords with which a block is called meanwhile."""
    given = dict[str, Any]()

    def note(_: Any, __: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        given.update(keywords)

    handle = block.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield given
    finally:
        handle.remove()


def _text(block: Any, step: StepInput) -> dict[str, Tensor]:
    """For blocks that attend to it."""
    attends = getattr(block, "has_cross_attention", False)
    return {"encoder_hidden_states": step.states} if attends else {}
