"""A cluster on this machine: two replicas draw; one is killed in the midst of it, and the pictures come all the same.

Saves them in out/ray-demo. Run by `make ray-demo`.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import yaml

from scripts.ray_local import LocalCluster, local_cluster

ROOT = Path(__file__).resolve().parents[1]
OUT = Path("out/ray-demo")
CONFIG = ROOT / "deploy" / "ray" / "demo.yaml"
ROUTE = "/api/writing/generate-writing-image-binary"
WORDS = (("学习", "study"), ("猫", "cat"), ("вода", "water"), ("tree", "tree"))
PATIENCE = 300


def main() -> int:
    """Exit status: 0 when all pictures are there."""
    OUT.mkdir(parents=True, exist_ok=True)
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    # Drawn, not remembered: the demo is to show that it can be drawn.
    config["applications"][0]["args"]["overrides"] += ["cache.enabled=false", "jobs.url=sqlite://"]
    print("Starting Ray, an ingress and two engines (a minute) ...", flush=True)
    with local_cluster() as cluster:
        cluster.deploy(config, engines=2)
        tell(cluster)
        with ThreadPoolExecutor(len(WORDS)) as pool:
            asked = [pool.submit(draw, cluster, *one) for one in WORDS]
            kill_one(cluster)
            answers = [one.result() for one in asked]
        tell(cluster)
    return 0 if all(answers) else 1


def draw(cluster: LocalCluster, word: str, translation: str) -> bool:
    """One picture, saved; whether it came."""
    started = time.monotonic()
    answer = httpx.post(
        f"{cluster.url}{ROUTE}",
        json={"word": word, "translation": translation, "seed": 7},
        headers={"X-Request-Timeout": str(PATIENCE)},
        timeout=PATIENCE,
    )
    seconds = time.monotonic() - started
    if answer.is_success:
        (OUT / f"{word}.png").write_bytes(answer.content)
    told = OUT / f"{word}.png" if answer.is_success else answer.text
    print(f"  {answer.status_code} after {seconds:.1f} s: {told}", flush=True)
    return answer.is_success


def kill_one(cluster: LocalCluster) -> None:
    """Of the two that draw."""
    time.sleep(2)
    one = cluster.replicas("Engine")[0]
    print(f"Killing one of the two engines (process {one.pid}) ...", flush=True)
    one.kill()


def tell(cluster: LocalCluster) -> None:
    """Who is there."""
    health = httpx.get(f"{cluster.url}/health/detailed", timeout=30).json()
    for one in health["service_status"]["ai_status"]["replicas"]:
        print(f"  engine {one['replica']}: {one['total_generations']} drawn", flush=True)


if __name__ == "__main__":
    sys.exit(main())
