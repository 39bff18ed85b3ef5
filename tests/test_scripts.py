"""Scripts that operators run, as processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.server import serving
from tests.fakes import fake_app
from writing_service.api.keys import hash_of

SCRIPTS = Path(__file__).parents[1] / "scripts"
KEY = "the-key-of-the-monitor"


def run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPTS / script), *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        env=os.environ | environment,
        check=False,
    )


def test_the_monitor_looks_as_often_as_it_is_told():
    with serving(fake_app(None, f'api.keys.monitor="{hash_of(KEY)}"')) as client:
        url = str(client.base_url)
        done = run("monitor", "2", "0.1", url, WRITING_SERVICE_API_KEY=KEY)
        without = run("monitor", "1", "0", url)
    assert done.returncode == 0
    first = done.stdout.split("---\n")[0].splitlines()
    assert first[0].endswith(": Checking AI service health...")
    assert first[1:] == ["Health: healthy", "GPU Memory: no GPU", "Total generations: 0"]
    assert done.stdout.count("---\n") == 2
    assert "Total generations: [401 Unauthorized]" in without.stdout


def test_the_monitor_fails_where_nobody_answers():
    done = run("monitor", "1", "0", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "Health: [[Errno" in done.stdout


@pytest.mark.parametrize("arguments", [("often",), ("0",), ("1", "-1"), ("1", "1", "url", "more")])
def test_the_monitor_says_how_it_is_used(arguments: tuple[str, ...]):
    done = run("monitor", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")


def test_the_pins_are_above_what_mended_known_vulnerabilities():
    # An empty proxy: pip-audit, where it is installed, is not to look at the network in tests.
    done = run("audit", HTTPS_PROXY="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9")
    assert done.returncode == 0, done.stdout
    assert ", 0 below " in done.stdout


def test_an_old_pin_is_told_with_what_is_wrong_with_it(tmp_path: Path):
    old = tmp_path / "constraints.txt"
    old.write_text("h11==0.14.0\npillow==12.0.0\nStarlette==0.40.0\n")
    done = run("audit", str(old), HTTPS_PROXY="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "h11 0.14.0 must be >=0.16.0: CVE-2025-43859" in done.stdout
    assert "starlette 0.40.0" in done.stdout
    assert "pillow" not in done.stdout
