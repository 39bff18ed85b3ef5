"""Recorded steps: on a CPU there is nothing to record, and every run is a plain one."""

import torch
from torch import Tensor

from training.recorded import Recorder


def test_without_a_gpu_each_run_is_a_call():
    seen = list[float]()

    def double(value: Tensor) -> Tensor:
        seen.append(float(value))
        return 2 * value

    recorder = Recorder(torch.device("cpu"))
    results = [recorder.run("key", double, torch.tensor(float(n))) for n in range(3)]
    assert [float(result) for result in results if result is not None] == [0.0, 2.0, 4.0]
    assert seen == [0.0, 1.0, 2.0]
