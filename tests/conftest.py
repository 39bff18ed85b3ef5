"""One thread for each process of the tests, for `make test` runs as many as there are cores; no deadlines; no traces.

What a run leaves out is told at its end.

The models of the tests are so small that their threads would mostly wait for each other. Libraries read the number when
they are imported, and processes that tests start inherit it.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Jobs are kept in memory, unless a test says where.
os.environ["WRITING_SERVICE_JOBS_URL"] = "sqlite://"

# Without a GPU, Triton's kernels run in its interpreter, where it is installed. It reads this when it is imported.
if not Path("/dev/nvidia0").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# A busy machine is slow now and then; that says nothing about what is tested.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

_LEFT_OUT = pytest.StashKey[Counter[str]]()
_WHAT = {"services": "that need another program or an extra", "slow": "that take long"}


def pytest_deselected(items: list[pytest.Item]) -> None:
    """By marker."""
    for item in items:
        left_out = item.config.stash.setdefault(_LEFT_OUT, Counter())
        left_out.update([next((name for name in _WHAT if item.get_closest_marker(name)), "")])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a process of many: it tells the one that reports."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = dict(session.config.stash.get(_LEFT_OUT, {}))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """All processes leave out the same."""
    node.config.stash[_LEFT_OUT] = Counter(getattr(node, "workeroutput", {}).get("left_out", {}))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Where `make test` did."""
    left_out = config.stash.get(_LEFT_OUT, Counter[str]())
    told = [f"{left_out[name]} tests {what}" for name, what in _WHAT.items() if left_out[name]]
    if told and "not slow" in config.option.markexpr:
        terminalreporter.write_line(f"Left to `make test-all`: {', '.join(told)}.", yellow=True)
