"""Start the service, ask it for one picture as a client would, save what it answers, stop it.

Saves result, base and the four control images as PNG in out/demo. Run by `make demo`.
"""

import base64
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

OUT = Path("out/demo")
LOG = OUT / "server.log"
START_SECONDS = 120
REQUEST_SECONDS = 600
STOP_SECONDS = 20
ROUTE = "/api/writing/generate-writing-image"
KINDS = ("canny", "depth", "segmentation", "scribble")
REQUEST = {
    "word": "学习",
    "translation": "study",
    "language": "chinese",
    "style": "traditional",
    "width": 1024,
    "height": 1024,
    "include_conditioning_images": True,
    "include_prompt": True,
    "seed": 12345,
}


class DemoFailed(Exception):
    """The message is one sentence for the person at the terminal."""


def main() -> int:
    """Exit status: 0 when all pictures are there."""
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.glob("*.png"):
        old.unlink()
    try:
        with Service() as service:
            service.await_ready()
            answer = ask(service.url)
        save(answer)
    except DemoFailed as failure:
        print(f"\nThe demo failed: {failure}\n\nThe end of {LOG}:\n{log_tail()}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    report(answer["generation_metadata"])
    return 0


class Service:
    """The service as a process of its own on a free port; stopped at the end, whatever happens."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> "Service":
        print(f"Starting the service on port {self._port}; its log is {LOG}.", flush=True)
        command = [sys.executable, "-m", "writing_service", "serve"]
        # Drawn, not remembered: the demo is to show that it can be drawn.
        settings = [f"api.port={self._port}", "logging.folder=null", "cache.enabled=false"]
        with LOG.open("wb") as log:
            self._process = subprocess.Popen([*command, *settings], stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        """SIGTERM, as a supervisor would; killed only if it does not listen."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
            print("The service has stopped.", flush=True)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            print(f"The service did not stop within {STOP_SECONDS} s and was killed.", flush=True)

    def await_ready(self) -> None:
        """Poll until a request would be served. Raises DemoFailed with the reasons why not."""
        started = time.monotonic()
        state = "no answer yet"
        while (waited := time.monotonic() - started) < START_SECONDS:
            if self._process.poll() is not None:
                raise DemoFailed(
                    f"the service ended at its start, with {self._process.returncode}."
                )
            state = readiness(self.url)
            if state == "ready":
                show(f"Ready after {waited:.1f} s.", end="\n")
                return
            show(f"Waiting for the service, {waited:.0f} s: {state}")
            time.sleep(0.5)
        raise DemoFailed(f"the service was not ready within {START_SECONDS} s: {state}.")


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def readiness(url: str) -> str:
    """The word "ready", or why not."""
    try:
        if httpx.get(f"{url}/health", timeout=5).status_code != HTTPStatus.OK:
            return "not healthy"
        answer = httpx.get(f"{url}/health/ready", timeout=5).json()
    except (httpx.HTTPError, ValueError):
        return "no answer yet"
    return (
        "ready" if answer["status"] == "ready" else "; ".join(answer.get("reasons", ["not ready"]))
    )


def ask(url: str) -> dict[str, Any]:
    """One request. Raises DemoFailed with the service's own sentence."""
    print(
        f"Drawing {REQUEST['word']} ({REQUEST['translation']}), {REQUEST['style']} ...", flush=True
    )
    try:
        patience = {"X-Request-Timeout": str(REQUEST_SECONDS)}
        response = httpx.post(
            f"{url}{ROUTE}", json=REQUEST, headers=patience, timeout=REQUEST_SECONDS
        )
        answer = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise DemoFailed(f"the request got no answer ({error!r}).") from None
    if response.status_code != HTTPStatus.OK:
        raise DemoFailed(f"the service answered {response.status_code}: {answer.get('error')}")
    return answer


def save(answer: Mapping[str, Any]) -> None:
    """Every picture of the answer, listed. Raises DemoFailed where one is missing."""
    for name, (encoded, what) in pictures(answer).items():
        if not encoded:
            raise DemoFailed(f"the answer has no {name} picture.")
        path = OUT / f"{name}.png"
        path.write_bytes(base64.b64decode(encoded))
        print(f"  {path}  {what}")


def pictures(answer: Mapping[str, Any]) -> dict[str, tuple[str | None, str]]:
    """Name → base64 and a word on what it is."""
    methods = answer["conditioning_images_base64"]
    control = {kind: next(iter(methods.get(kind, {}).items()), ("", None)) for kind in KINDS}
    return {
        "result": (answer["generated_image_base64"], "the picture"),
        "base": (answer["base_image_base64"], "the plain word"),
        **{kind: (encoded, f"drawn by {method}") for kind, (method, encoded) in control.items()},
    }


def report(metadata: Mapping[str, Any]) -> None:
    """Where the time went."""
    size = f"{metadata['width']}×{metadata['height']}"
    print(f"{metadata['model_used']}, {size}, {metadata['num_inference_steps']} steps")
    for stage, milliseconds in metadata["stage_times_ms"].items():
        print(f"  {stage:<14}{milliseconds / 1000:8.2f} s")
    print(f"  {'in all':<14}{metadata['generation_time_ms'] / 1000:8.2f} s")


def show(line: str, end: str = "") -> None:
    """Over the line before, where a person watches."""
    if sys.stdout.isatty():
        print(f"\r{line:<100.100}", end=end, flush=True)
    elif end:
        print(line, end=end, flush=True)


def log_tail(lines: int = 12) -> str:
    """What the service said last."""
    text = LOG.read_text(encoding="utf-8", errors="replace") if LOG.exists() else ""
    return "\n".join(text.splitlines()[-lines:]) or "(nothing was logged)"


if __name__ == "__main__":
    sys.exit(main())
