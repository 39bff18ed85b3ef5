"""Muon for matrices, AdamW for everything else.

Muon (K. Jordan, 2024, kellerjordan.github.io/posts/muon) makes every update of a weight matrix orthogonal, so that
all of its directions learn at once. On these networks it got further in a minute than AdamW alone did. torch.optim.Muon
goes from matrix to matrix: some four thousand launches a step, which keep a GPU waiting for longer than it computes.
Here matrices of one shape go together, and the learning rate is a tensor, so that a step can be recorded
(training/recorded.py).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from training import processes

MOMENTUM = 0.95
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration that brings singular values near 1 (as torch.optim.Muon's)."""
ITERATIONS = 3

_NARROWEST = 16
"""Matrices with a shorter side than this are left to AdamW: there is little to make orthogonal."""


class MatrixOptimizer:
    """Optimizes `groups`, each some modules and their share of the learning rate.

    Convolution kernels (out, in, h, w) are taken as matrices (out, h·w·in), as views, which needs weights in
    `channels_last`. All gradients are views of one buffer, for one norm and one exchange between processes:
    `clear`, backward, `exchange`, `step`.
    """

    def __init__(
        self, groups: Sequence[tuple[Iterable[nn.Module], float]], weight_decay: float
    ) -> None:
        matrices: dict[tuple[torch.Size, float], list[nn.Parameter]] = defaultdict(list)
        others: list[dict[str, Any]] = []
        parameters: list[nn.Parameter] = []
        for modules, share in groups:
            for parameter, is_matrix in _parameters(modules):
                parameters.append(parameter)
                if is_matrix:
                    matrices[_as_matrix(parameter.data).shape, share].append(parameter)
                else:
                    others.append({"params": [parameter], "share": share})
        self.gradients = one_buffer(parameters)
        device = self.gradients.device
        self._stacks = [
            _Stack(alike, share, weight_decay) for (_, share), alike in matrices.items()
        ]
        self._rate = torch.zeros((), device=device)
        self._rates = {share: torch.zeros((), device=device) for _, share in groups}
        self._adamw = torch.optim.AdamW(
            [
                {
                    "params": [one["params"][0] for one in others if one["share"] == share],
                    "share": share,
                    "lr": rate,
                }
                for share, rate in self._rates.items()
            ],
            betas=(0.9, 0.98),
            weight_decay=weight_decay,
            fused=True,
            capturable=device.type == "cuda",
        )

    def set_rate(self, rate: float) -> None:
        """The learning rate from now on."""
        self._rate.fill_(rate)
        for share, own in self._rates.items():
            own.fill_(rate * share)

    def clear(self) -> None:
        """Before a backward pass: it adds to what is there."""
        self.gradients.zero_()

    def exchange(self) -> None:
        """Average the gradients over all training processes."""
        processes.average(self.gradients)

    @torch.no_grad()
    def step(self, longest: float = 1.0) -> Tensor:
        """One update; the gradients' norm is cut to `longest`. Return the norm before."""
        norm = self.gradients.norm()
        self.gradients.mul_((longest / (norm + 1e-6)).clamp(max=1.0))
        for stack in self._stacks:
            stack.step(self._rate)
        self._adamw.step()
        return norm

    def state_dict(self) -> dict[str, Any]:
        """Of both."""
        return {
            "muon": [stack.momentum for stack in self._stacks],
            "adamw": self._adamw.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        for stack, momentum in zip(self._stacks, state["muon"], strict=True):
            stack.momentum.copy_(momentum)
        self._adamw.load_state_dict(state["adamw"])
        for group, rate in zip(self._adamw.param_groups, self._rates.values(), strict=True):
            group["lr"] = rate


class _Stack:
    """Matrices of one shape, updated together."""

    def __init__(self, parameters: list[nn.Parameter], share: float, weight_decay: float) -> None:
        self._weights = [_as_matrix(parameter.data) for parameter in parameters]
        self._gradients = [_as_matrix(_gradient(parameter)) for parameter in parameters]
        for weight, parameter in zip(self._weights, parameters, strict=True):
            assert weight.data_ptr() == parameter.data_ptr(), "weights must be channels_last"
        self._share, self._decay = share, weight_decay
        self.momentum = torch.zeros_like(torch.stack(self._weights))

    def step(self, rate: Tensor) -> None:
        """Momentum as Nesterov's; updates of the same size as AdamW's (arXiv:2502.16982)."""
        gradients = torch.stack(self._gradients)
        self.momentum.lerp_(gradients, 1 - MOMENTUM)
        update = orthogonal(gradients.lerp(self.momentum, MOMENTUM))
        rate = rate * self._share
        size = 0.2 * max(update.shape[1:]) ** 0.5
        torch._foreach_mul_(self._weights, 1 - rate * self._decay)
        torch._foreach_sub_(self._weights, list((update.float() * (rate * size)).unbind()))


def orthogonal(matrices: Tensor) -> Tensor:
    """(n, rows, columns) → the nearest matrices with singular values near 1, in bfloat16."""
    a, b, c = NEWTON_SCHULZ
    wide = matrices.bfloat16()
    tall = wide.shape[1] > wide.shape[2]
    if tall:
        wide = wide.mT
    wide = wide / wide.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = wide @ wide.mT
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return wide.mT if tall else wide


def _parameters(modules: Iterable[nn.Module]) -> Iterable[tuple[nn.Parameter, bool]]:
    """The trained ones, and whether each is for Muon; tables of embeddings are not."""
    for module in modules:
        tables = {id(one.weight) for one in module.modules() if isinstance(one, nn.Embedding)}
        for parameter in filter(lambda one: one.requires_grad, module.parameters()):
            yield parameter, id(parameter) not in tables and _is_matrix(parameter)


def one_buffer(parameters: Sequence[nn.Parameter]) -> Tensor:
    """Zeros for all gradients, of which each parameter gets its part, laid out as the parameter itself."""
    total = sum(parameter.numel() for parameter in parameters)
    like = parameters[0]
    buffer = torch.zeros(total, device=like.device, dtype=like.dtype)
    start = 0
    for parameter in parameters:
        parameter.grad = buffer.as_strided(parameter.shape, parameter.stride(), start)
        start += parameter.numel()
    return buffer


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _is_matrix(parameter: Tensor) -> bool:
    return parameter.ndim in (2, 4) and min(parameter.shape[0], parameter[0].numel()) >= _NARROWEST


def _as_matrix(weight: Tensor) -> Tensor:
    """(out, in) as it is, (out, in, h, w) → (out, h·w·in) without a copy."""
    return weight if weight.ndim == 2 else weight.permute(0, 2, 3, 1).reshape(len(weight), -1)
