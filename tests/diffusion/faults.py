"""What goes wrong inside the models: hooks on the modules that a pipeline was made of."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def before_runs(module: nn.Module, act: Callable[[Tensor], None]) -> Generator[None]:
    """`act` gets the first argument of each of the module's runs, and may raise in its place."""

    def hook(_: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        act(next(iter((*arguments, *options.values()))))

    handle = module.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def failing(module: nn.Module, error: BaseException, at: range) -> Generator[None]:
    """The runs `at`, counted from 0, fail."""
    runs = iter(range(10**6))

    def act(_: Tensor) -> None:
        if next(runs) in at:
            raise error

    with before_runs(module, act):
        yield


@contextmanager
def limited(module: nn.Module, error: Exception, most: int) -> Generator[list[int]]:
    """More than `most` rows at once find no memory; gives the numbers of rows that were tried."""
    tried = list[int]()

    def act(given: Tensor) -> None:
        tried.append(len(given))
        if len(given) > most:
            raise error

    with before_runs(module, act):
        yield tried


@contextmanager
def paused(module: nn.Module) -> Generator[None]:
    """The module waits for the end of the block, so that what comes meanwhile shares the next step."""
    go = threading.Event()
    with before_runs(module, lambda _: go.wait(10) and None):
        try:
            yield
        finally:
            go.set()
