"""What the board costs with more engines than this machine has room for: their reports, without the engines.

`python -m benchmarks.ray.board ENGINES SECONDS` prints JSON. A process each, for Ray keeps what it knows of a cluster.
"""

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import ray
from ray import serve

from benchmarks.ray.service import config
from scripts.ray_local import LocalCluster, local_cluster
from tests.fakes import fake_generator
from writing_service.cluster.families import packed
from writing_service.cluster.reports import EVERY_SECONDS, Report, report_of
from writing_service.diffusion.fake import FakeGPU
from writing_service.observability.metrics import ServiceMetrics

LEADERS = ("Board", "Ingress", "ServeController", "gcs_server", "raylet")


def measure(engines: int, seconds: float) -> Mapping[str, float]:
    """Processor milliseconds a second of those that lead, with so many engines more."""
    with local_cluster() as cluster:
        cluster.deploy(config(1, 0.0))
        ray.init(address=cluster.address, logging_level="error", log_to_driver=False)
        try:
            return asyncio.run(_watched(cluster, engines, seconds))
        finally:
            ray.shutdown()


async def _watched(cluster: LocalCluster, engines: int, seconds: float) -> Mapping[str, float]:
    posting = asyncio.gather(*(_post(number, engines) for number in range(engines)))
    await asyncio.sleep(5)
    before = _spent(cluster)
    await asyncio.sleep(seconds)
    after = _spent(cluster)
    cluster.await_engines(engines + 1)  # the board has heard of all
    posting.cancel()
    await asyncio.gather(posting, return_exceptions=True)
    return {name: 1000 * (after[name] - before[name]) / seconds for name in before}


async def _post(number: int, engines: int) -> None:
    """One engine's reports, evenly among the others'."""
    handle = serve.get_deployment_handle("Board", "writing")
    report, metrics = _report(number), packed(ServiceMetrics().registry)
    await asyncio.sleep(EVERY_SECONDS * number / engines)
    while True:
        started = time.monotonic()
        await handle.post.remote(report, metrics)
        await asyncio.sleep(max(0.0, EVERY_SECONDS - (time.monotonic() - started)))


def _report(number: int) -> Report:
    return replace(_told(), replica=f"made-up-{number}")


@cache
def _told() -> Report:
    generator, _ = fake_generator()
    return report_of("", "node", generator, FakeGPU(), lambda: "models")


def _spent(cluster: LocalCluster) -> Mapping[str, float]:
    """Processor seconds since the start."""
    found = dict.fromkeys(LEADERS, 0.0)
    for name in LEADERS:
        for one in cluster.processes(name):
            times = one.cpu_times()
            found[name] += times.user + times.system
    return found


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), float(sys.argv[2]))))
