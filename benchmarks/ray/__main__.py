"""`python -m benchmarks.ray [what=bytes,overhead,...] [seconds=60]`; each part prints its figures.

Ten minutes in all. For a quick look: `seconds=15 pictures=5`.
"""

import hashlib
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

import httpx
import psutil

from benchmarks.load.overload import percentile
from benchmarks.ray.service import MADE_UP, QUIET, Load, ask, config, without_ray
from scripts.ray_local import LocalCluster, local_cluster

SIDES = (512, 1024)
ALL_AT_ONCE = "1000"
STEP = {"num_inference_steps": 4}
PARTS_OF_RAY = (
    "Ingress",
    "ProxyActor",
    "Engine",
    "Board",
    "ServeController",
    "raylet",
    "gcs_server",
)
CLIENTS = 8


@dataclass(frozen=True)
class Options:
    """What the command line may set."""

    what: str = "bytes,overhead,throughput,deaths,update,board"
    seconds: int = 60
    """Of load, for each part under load."""
    pictures: int = 30
    """For each median."""
    kill_every: float = 15.0
    """Seconds from one death to the next."""


def parse(arguments: list[str]) -> Options:
    """Raises SystemExit with what is known on anything else."""
    options, known = Options(), [field.name for field in fields(Options)]
    for argument in arguments:
        key, _, text = argument.partition("=")
        if key not in known:
            raise SystemExit(f"Unknown setting '{argument}'; known: {', '.join(known)}")
        options = replace(options, **{key: type(getattr(options, key))(text)})
    if unknown := set(options.what.split(",")) - set(PARTS):
        raise SystemExit(f"Unknown part {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
    return options


def same_bytes(options: Options) -> bool:
    """Whether the embedded checkpoint's pictures are the same through Ray and without."""
    overrides = (*QUIET, "ai_generation.gpu.device=cpu")

    def drawn(url: str) -> list[str]:
        with httpx.Client(
            base_url=url, timeout=300, headers={"X-Request-Timeout": "300"}
        ) as client:
            answers = [ask(client, seed, 512, **STEP) for seed in range(4)]
        return [hashlib.sha256(one.content).hexdigest() for one in answers if one.status == 200]

    with without_ray("writing_service", "serve", *overrides) as url:
        wanted = drawn(url)
    with local_cluster() as cluster:
        cluster.deploy(config(2, overrides=overrides), engines=2)
        found = drawn(cluster.url)
    same = sum(one == other for one, other in zip(wanted, found, strict=True))
    print(f"{same} of 4 pictures of 512² have the same bytes through Ray and without.")
    return same == 4


def overhead(options: Options) -> bool:
    """Milliseconds of a request on a device that takes no time, one after the other; and whose they are."""
    print(
        "| size | without Ray p50 | p95 | through Ray p50 | p95 | Ray adds |",
        "|---|---|---|---|---|---|",
        sep="\n",
    )
    with without_ray("tests.fake_service", "0", ALL_AT_ONCE, *MADE_UP) as url:
        plain = {side: latencies(url, side, options.pictures) for side in SIDES}
    with local_cluster() as cluster:
        cluster.deploy(config(1, 0.0))
        work = {}
        for side in SIDES:
            latencies(cluster.url, side, 3)
            before = processor_seconds(cluster)
            ray = latencies(cluster.url, side, options.pictures)
            spent = processor_seconds(cluster)
            work[side] = {
                name: 1000 * (spent[name] - before[name]) / options.pictures for name in before
            }
            told = [1000 * percentile(one, at) for one in (plain[side], ray) for at in (50, 95)]
            row = " | ".join(f"{one:.0f} ms" for one in told)
            print(f"| {side}² | {row} | {told[2] - told[0]:.0f} ms |", flush=True)
        idle = idle_work(cluster)
    print("", "Processor milliseconds a picture, by process:", "", sep="\n")
    print(f"| size | {' | '.join(PARTS_OF_RAY)} |", f"|---|{'---|' * len(PARTS_OF_RAY)}", sep="\n")
    for side, one in work.items():
        print(f"| {side}² | {' | '.join(f'{one[name]:.0f}' for name in PARTS_OF_RAY)} |")
    print(f"| idle, a second | {' | '.join(f'{idle[name]:.0f}' for name in PARTS_OF_RAY)} |")
    return True


def idle_work(cluster: LocalCluster, seconds: float = 10.0) -> Mapping[str, float]:
    """Processor milliseconds a second while nobody asks."""
    before = processor_seconds(cluster)
    time.sleep(seconds)
    spent = processor_seconds(cluster)
    return {name: 1000 * (spent[name] - before[name]) / seconds for name in before}


def latencies(url: str, side: int, pictures: int) -> list[float]:
    """Seconds. Raises RuntimeError where a picture does not come."""
    with httpx.Client(base_url=url, timeout=60) as client:
        answers = [ask(client, seed, side, **STEP) for seed in range(pictures)]
    if wrong := [one.status for one in answers if one.status != 200]:
        raise RuntimeError(f"The service answers {wrong[0]}.")
    return [one.seconds for one in answers]


def processor_seconds(cluster: LocalCluster) -> Mapping[str, float]:
    """Of each part, user and system."""
    found = dict.fromkeys(PARTS_OF_RAY, 0.0)
    for name in PARTS_OF_RAY:
        for one in cluster.processes(name):
            times = one.cpu_times()
            found[name] += times.user + times.system
    return found


def throughput(options: Options) -> bool:
    """Pictures a second of one engine and of two, whose device takes a second a picture."""
    rates = dict[int, float]()
    for engines in (1, 2):
        with local_cluster() as cluster:
            # Two at once in each: one is drawn, one is prepared.
            cluster.deploy(config(engines, 1.0, max_ongoing_requests=2), engines=engines)
            with Load(cluster.url, CLIENTS) as load:
                time.sleep(options.seconds / 2)
            rates[engines] = len(load.answers) / load.seconds
        print(
            f"{engines} engine(s), {CLIENTS} clients: {rates[engines]:.2f} pictures/s", flush=True
        )
    print(f"Two draw {rates[2] / rates[1]:.2f} times as many as one.")
    return True


def deaths(options: Options) -> bool:
    """Whether no request fails while one of two engines is killed now and then."""
    with local_cluster() as cluster:
        cluster.deploy(config(2, 1.0), engines=2)
        ends, killed = time.monotonic() + options.seconds, 0
        with Load(cluster.url, 4) as load:
            while (left := ends - time.monotonic()) > 0:
                time.sleep(min(options.kill_every, left))
                if time.monotonic() < ends - 1 and (engines := cluster.replicas("Engine")):
                    engines[killed % len(engines)].kill()
                    killed += 1
        again = cluster.console().count("A replica was lost")
    print_load(load, f"{killed} engines killed (SIGKILL), {again} requests drawn again")
    return not load.failed


def update(options: Options) -> bool:
    """Whether no request fails while every replica is replaced by one of another version."""
    with local_cluster() as cluster:
        cluster.deploy(config(2, 1.0), engines=2)
        old = {one.pid for one in (*cluster.replicas("Engine"), *cluster.replicas("Ingress"))}
        started = time.monotonic()
        with Load(cluster.url, 4) as load:
            cluster.deploy(config(2, 1.0, release="2"), engines=2)
            while any(psutil.pid_exists(one) for one in old):
                time.sleep(0.5)
            replaced = time.monotonic() - started
            time.sleep(5)
    print_load(load, f"all replicas replaced after {replaced:.0f} s")
    return not load.failed


def leading(options: Options) -> bool:
    """What it costs to lead many engines, whose reports are made up: processor milliseconds a second."""
    rows = {engines: made_up_engines(engines) for engines in (1, 16, 64)}
    names = list(rows[1])
    print(f"| engines | {' | '.join(names)} |", f"|---|{'---|' * len(names)}", sep="\n")
    for engines, told in rows.items():
        print(f"| {engines} | {' | '.join(f'{told[name]:.0f}' for name in names)} |")
    return True


def made_up_engines(count: int) -> Mapping[str, float]:
    """See board.py."""
    command = [sys.executable, "-m", "benchmarks.ray.board", str(count), "15"]
    return json.loads(subprocess.check_output(command, stderr=subprocess.DEVNULL))


def print_load(load: Load, what: str) -> None:
    """One line."""
    times = [one.seconds for one in load.answers]
    told = ", ".join(f"{count} × {status}" for status, count in Counter(load.failed).items())
    print(
        f"{what}: {len(load.failed)} of {len(times)} requests failed in {load.seconds:.0f} s ({told or 'none'}); "
        f"p50 {statistics.median(times):.1f} s, p95 {percentile(times, 95):.1f} s, longest {max(times):.1f} s."
    )


PARTS: Mapping[str, Callable[[Options], bool]] = {
    "bytes": same_bytes,
    "overhead": overhead,
    "throughput": throughput,
    "deaths": deaths,
    "update": update,
    "board": leading,
}


def main() -> int:
    """Exit status."""
    options, good = parse(sys.argv[1:]), True
    for part in options.what.split(","):
        print(f"== {part}", flush=True)
        good &= PARTS[part](options)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
