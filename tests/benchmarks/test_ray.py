"""The parts of Ray's benchmark that are not Ray: its command line, and its clients, against the fake service."""

import time

import pytest

from benchmarks.ray.__main__ import Options, parse, print_load
from benchmarks.ray.service import Load
from tests.api.server import serving
from tests.fakes import fake_app


def test_the_command_line_sets_what_there_is():
    assert parse(["what=deaths", "seconds=5"]) == Options(what="deaths", seconds=5)
    for wrong in ("what=nothing", "unknown=1"):
        with pytest.raises(SystemExit):
            parse([wrong])


def test_clients_ask_until_the_load_ends_and_failures_are_counted(
    capsys: pytest.CaptureFixture[str],
):
    with serving(fake_app()) as client:
        url = str(client.base_url)
        with Load(url, 2, side=128) as load:
            time.sleep(0.5)
    assert load.answers
    assert load.failed == []
    print_load(load, "nothing")
    assert f"0 of {len(load.answers)} requests failed" in capsys.readouterr().out

    with Load(url, 1) as dead:
        time.sleep(0.05)
    assert set(dead.failed) == {0}
