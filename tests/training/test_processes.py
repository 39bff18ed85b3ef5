"""Several training processes on one machine."""

import time
from pathlib import Path

import torch

from training import processes


def test_one_process_runs_here_and_alone():
    ran = list[int]()
    processes.start(ran.append, 1, 7)
    assert ran == [7]
    assert (processes.number(), processes.count()) == (0, 1)
    values = torch.tensor([1.0, 3.0])
    processes.average(values)
    assert processes.of_first(values).tolist() == [1.0, 3.0]
    assert processes.told_by_first(0.5) == 0.5


def test_two_processes_share_gradients_and_follow_the_first(tmp_path: Path):
    processes.start(_share, 2, tmp_path)
    for number in range(2):
        told = torch.load(tmp_path / f"{number}.pt")
        assert told == {"average": [1.5, 0.5], "first": 1.0, "clock": 10.0, "count": 2}


def _share(folder: Path) -> None:
    number = processes.number()
    gradients = torch.tensor([1.0 + number, float(number)])
    processes.average(gradients)
    told = {
        "average": gradients.tolist(),
        "first": float(processes.of_first(torch.tensor(1.0 + number))),
        "clock": processes.told_by_first(10.0 + number),
        "count": processes.count(),
    }
    torch.save(told, folder / f"{number}.pt")
    if number == 0:
        time.sleep(0.3)
        (folder / "made by the first").touch()
    processes.await_first()
    assert (folder / "made by the first").exists()
