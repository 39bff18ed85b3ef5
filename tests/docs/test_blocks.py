"""Every block of the docs is run against a real service; what cannot be is checked as far as it goes."""

import ast
import asyncio
import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from tests.api.server import serving
from tests.docs.blocks import PAGES, ROOT, Block, blocks, commands
from tests.fakes import fake_app
from writing_service.cli.root import cli
from writing_service.config import load_settings

BLOCKS = blocks()
SHELL = [block for block in BLOCKS if block.language == "sh"]
OUR_PORT = re.compile(r"(localhost|127\.0\.0\.1)?:8600")

CHEAP = (
    "ai_generation.generation.width=128 ai_generation.generation.height=128 "
    "ai_generation.generation.num_inference_steps=2 ai_generation.generation.render_at=requested "
    "ai_generation.legibility.max_attempts=1 logging.folder=null logging.level=ERROR"
)
COMMAND = f"""#!/bin/sh
case "$1" in
    generate | reproduce | profile | warmup) exec "{sys.executable}" -m writing_service "$@" {CHEAP} ;;
    *) exec "{sys.executable}" -m writing_service "$@" ;;
esac
"""
CURL = f'#!/bin/sh\nexec {shutil.which("curl")} --fail-with-body "$@"\n'
MISSING = [program for program in ("bash", "curl", "jq") if shutil.which(program) is None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with chdir(tmp_path_factory.mktemp("service")), serving(fake_app()) as client:
        yield client


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the installed command, small pictures its only difference, and a curl that heeds errors."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name, text in (("writing-service", COMMAND), ("curl", CURL)):
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


def here(text: str, server: httpx.Client) -> str:
    """With the test's port in place of the documented one."""
    return OUR_PORT.sub(f"127.0.0.1:{server.base_url.port}", text)


def param(block: Block) -> Any:
    return pytest.param(block, id=str(block), marks=[pytest.mark.slow] if block.slow else [])


@pytest.mark.skipif(bool(MISSING), reason=f"the docs' commands need {', '.join(MISSING)}")
@pytest.mark.parametrize("block", [param(one) for one in SHELL if not one.reason])
def test_a_shell_block_does_what_it_says(
    block: Block, server: httpx.Client, programs: Path, tmp_path: Path
):
    if block.refused:
        (programs / "curl").unlink()
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", here(block.text, server)],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    saved = re.findall(r"(?:-o|--output) (\S+\.\w+)", block.text)
    if "-n " not in block.text:
        assert all((tmp_path / name).stat().st_size for name in saved)
    assert done.stdout.strip() or saved


PYTHON = [
    pytest.param(one, id=str(one)) for one in BLOCKS if one.language == "python" and not one.reason
]


@pytest.mark.parametrize("block", PYTHON)
def test_a_python_block_runs(block: Block, server: httpx.Client, tmp_path: Path):
    text = here(block.text, server)
    code = compile(text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names: dict[str, Any] = {"__name__": "docs"}
    with chdir(tmp_path):
        result = eval(code, names)
        if inspect.iscoroutine(result):
            asyncio.run(result)
    assert names.keys() - {"__name__", "__builtins__"}  # what it imported and made


def _make(words: list[str], _: Mapping[str, Any]) -> None:
    targets = [word for word in words if "=" not in word]
    done = subprocess.run(
        ["make", "--dry-run", *targets], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _writing_service(words: list[str], _: Mapping[str, Any]) -> None:
    assert CliRunner().invoke(cli, [words[0], "--help"]).exit_code == 0
    load_settings([word for word in words[1:] if "=" in word and not word.startswith("-")])


def _pip(words: list[str], _: Mapping[str, Any]) -> None:
    assert all((ROOT / name).is_file() for flag, name in pairwise(words) if flag == "-r")


def _python(words: list[str], _: Mapping[str, Any]) -> None:
    if words[0] == "-m":
        assert find_spec(words[1])
    else:
        assert (ROOT / words[0]).is_file()


def _hf(words: list[str], _: Mapping[str, Any]) -> None:
    detectors = load_settings().ai_generation.detectors.model_dump().values()
    assert words[0] == "download"
    assert words[1] in detectors


def _curl(words: list[str], paths: Mapping[str, Any]) -> None:
    (url,) = [word for word in words if OUR_PORT.search(word)]
    path = OUR_PORT.sub("", url.removeprefix("http://")).partition("?")[0]
    patterns = [re.sub(r"\{\w+\}", "[^/]+", one) for one in paths]
    assert any(re.fullmatch(pattern, path) for pattern in patterns)


def _docker(words: list[str], _: Mapping[str, Any]) -> None:
    assert words[0] == "compose"
    assert (ROOT / "docker-compose.yml").is_file()


def _serve(words: list[str], _: Mapping[str, Any]) -> None:
    """Ray's."""
    assert words[0] in ("run", "deploy")
    assert (ROOT / words[1]).is_file()


def _kubectl(words: list[str], _: Mapping[str, Any]) -> None:
    assert all((ROOT / name).is_file() for flag, name in pairwise(words) if flag == "-f")


def _others(words: list[str], _: Mapping[str, Any]) -> None:
    """Programs of the system's."""


CHECKS: dict[str, Callable[[list[str], Mapping[str, Any]], None]] = {
    "make": _make,
    "writing-service": _writing_service,
    "pip": _pip,
    "python": _python,
    "hf": _hf,
    "curl": _curl,
    "docker": _docker,
    "serve": _serve,
    "kubectl": _kubectl,
    **dict.fromkeys(("tail", "grep", "jq", "watch", "nvidia-smi", "export"), _others),
}


@pytest.mark.parametrize("block", [pytest.param(one, id=str(one)) for one in SHELL if one.reason])
def test_what_is_not_run_names_what_there_is(block: Block, server: httpx.Client):
    assert len(block.reason) > 5
    paths = server.get("/api/openapi.json").json()["paths"]
    for program, *words in commands(block.text):
        assert program in CHECKS, f"{block}: say in {__name__} how '{program}' is checked"
        CHECKS[program](words, paths)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_sentences_and_links_lead_somewhere(page: Path):
    text = page.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make ([a-z]+(?:-[a-z]+)*)[` ]", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    known = [one.callback.__name__ for one in cli.registered_commands if one.callback]
    for command in re.findall(r"`writing-service ([a-z]+)", text):
        assert command in known
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not link.startswith("http"):
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.casefold()).replace(" ", "-") for one in headings}
