"""The command line, as processes, the way a person runs it."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

import pytest
from PIL import Image

import writing_service
from writing_service.api.keys import keys_of
from writing_service.config import load_settings

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(writing_service.__file__).parents[1])}
NO_MODELS = "ai_generation.models.base_model=/no/such/folder"


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """In an empty folder, to show that nothing is looked for where the command is started."""
    command = [sys.executable, "-m", "writing_service", *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_version_is_printed(tmp_path: Path):
    done = run("--version", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"writing-service {writing_service.__version__}\n")


def test_help_names_every_command(tmp_path: Path):
    done = run("--help", folder=tmp_path)
    assert done.returncode == 0
    commands = ("serve", "generate", "reproduce", "styles", "methods", "fonts", "doctor", "warmup")
    assert all(command in done.stdout for command in commands)
    assert "Exit codes: " in done.stdout


@pytest.mark.parametrize(
    "command", [["serve"], ["generate", "学"], ["doctor"], ["warmup"], ["profile", "学"]]
)
def test_a_wrong_key_ends_any_command_with_one_sentence(command: list[str], tmp_path: Path):
    done = run(*command, "api.prot=1", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "Unknown setting 'api.prot'; did you mean 'api.port'?\n"
    assert done.stdout == ""


def test_a_port_out_of_range_is_told_with_its_key_before_anything_is_loaded(tmp_path: Path):
    started = time.monotonic()
    done = run("serve", "api.port=70000", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("Setting 'api.port' is wrong")
    assert done.stderr.count("\n") == 1
    assert time.monotonic() - started < 10


def test_serve_does_not_open_itself_to_other_machines_without_keys(tmp_path: Path):
    done = run("serve", "api.host=0.0.0.0", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("api.host=0.0.0.0 opens the service to other machines")
    assert done.stderr.count("\n") == 1


def test_a_key_is_printed_with_the_setting_that_lets_it_in(tmp_path: Path):
    key, setting, variable = (
        line.split(maxsplit=1)[1] for line in run("key", "bot", folder=tmp_path).stdout.splitlines()
    )
    (override,) = shlex.split(setting)
    settings = load_settings([override]).api
    assert keys_of(settings, {}).owner(key.encode()) == "bot"
    name, _, value = variable.partition("=")
    assert (
        keys_of(load_settings().api, {name: value.removeprefix("or ")}).owner(key.encode()) == "bot"
    )


def test_warm_up_without_models_tells_each_word_and_fails(tmp_path: Path):
    done = run("warmup", NO_MODELS, "logging.level=ERROR", folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout.count("failed") == 5
    assert "no/such" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_profile_shows_stages_and_ends_with_its_trace(tmp_path: Path):
    small = [
        "ai_generation.generation.width=128",
        "ai_generation.generation.height=128",
        "ai_generation.generation.render_at=requested",
        "ai_generation.generation.num_inference_steps=2",
    ]
    done = run("profile", "学", *small, "-t", "study", "-o", "traces", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(one in done.stdout for one in ("denoise", "decode", "aten::", "Memory: peak"))
    trace = Path(done.stdout.splitlines()[-1])
    assert trace.parent == Path("traces")
    assert (tmp_path / trace).stat().st_size > 1000


def test_a_profile_without_a_place_for_its_trace_is_one_sentence(tmp_path: Path):
    (tmp_path / "taken").write_text("")
    done = run("profile", "学", "-o", "taken", "logging.level=ERROR", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "'taken' cannot be made: File exists.\n"


def test_the_doctor_names_what_is_missing_and_fails(tmp_path: Path):
    done = run("doctor", NO_MODELS, folder=tmp_path)
    assert done.returncode == 1
    missing = [line for line in done.stdout.splitlines() if line.startswith("MISSING")]
    assert any("base model" in line and "/no/such/folder" in line for line in missing)
    assert "Traceback" not in done.stderr


def test_the_doctor_is_content_with_the_shipped_checkpoint(tmp_path: Path):
    done = run("doctor", folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "MISSING" not in done.stdout
    assert "checkpoint" in done.stdout
    assert "学习" in done.stdout


def test_the_doctor_names_a_model_that_guides_name_and_the_hub_does_not_have(tmp_path: Path):
    wrong = "ai_generation.models.controlnet_models.scribble=diffusers/controlnet-scribble-sdxl-1.0"
    done = run("doctor", "pipeline=sdxl", wrong, folder=tmp_path)
    assert done.returncode == 1
    assert "xinsir/controlnet-scribble-sdxl-1.0" in done.stdout


def test_generate_without_models_says_so_in_one_sentence_and_writes_nothing(tmp_path: Path):
    done = run("generate", "学", NO_MODELS, "logging.level=ERROR", folder=tmp_path)
    assert done.returncode == 1
    assert "/no/such/folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "writing.png").exists()


def test_generate_draws_with_the_shipped_checkpoint_from_any_folder(tmp_path: Path):
    setting = "ai_generation.generation.render_at=requested"
    asked = ["--size", "128x128", "-o", "out/word.png", "--seed", "3", "-t", "study, learn"]
    done = run("generate", "学", setting, *asked, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "out/word.png\n"
    with Image.open(tmp_path / "out" / "word.png") as picture:
        assert picture.size == (128, 128)
        assert "Seed: 3" in picture.info["parameters"]
    # Another process makes the same file from what this one tells.
    again = run("reproduce", "out/word.png", setting, folder=tmp_path)
    assert (again.returncode, again.stdout) == (0, "out/word-again.png\n")
    assert "The same bytes." in again.stderr
    first, second = (tmp_path / "out" / name for name in ("word.png", "word-again.png"))
    assert first.read_bytes() == second.read_bytes()


def test_a_wrong_list_is_told_before_anything_is_drawn(tmp_path: Path):
    (tmp_path / "words.csv").write_text("word,seed\n猫,1\n学,x\n", encoding="utf-8")
    done = run("generate", "--from", "words.csv", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Line 3 of 'words.csv' is wrong: 'seed' ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "writings").exists()


def test_a_list_without_models_is_refused_once_and_not_for_each_row(tmp_path: Path):
    (tmp_path / "words.csv").write_text("word\n猫\n学\n", encoding="utf-8")
    done = run("generate", "--from", "words.csv", NO_MODELS, "logging.level=ERROR", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("No picture can be drawn: ")
    assert "/no/such/folder" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "writings").exists()


def test_a_list_is_drawn_and_a_row_that_fails_is_told_with_its_line(tmp_path: Path):
    rows = "word,pictogram,seed\n学/习,,3\n猫,no such thing,\n日,,\n"
    (tmp_path / "words.csv").write_text(rows, encoding="utf-8")
    size = [
        "ai_generation.generation.width=128",
        "ai_generation.generation.height=128",
        "ai_generation.generation.render_at=requested",
    ]
    quiet = "logging.level=ERROR"
    done = run("generate", "--from", "words.csv", *size, quiet, "-o", "out", folder=tmp_path)
    assert done.returncode == 1
    *pictures, sheet = done.stdout.splitlines()
    assert sorted(pictures) == ["out/001-学-习.png", "out/003-日.png"]
    assert sheet == "out/contact-sheet.jpg"
    assert done.stderr.startswith("Line 3: Unknown pictogram 'no such thing'")
    assert done.stderr.count("\n") == 1
    with Image.open(tmp_path / "out" / "001-学-习.png") as picture:
        assert picture.size == (128, 128)
        assert "Seed: 3" in picture.info["parameters"]


def health(port: int) -> int:
    """The status of /health; 0 while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return int(answer.status)
    except (URLError, ConnectionError):
        return 0


def test_serve_answers_on_its_port_logs_to_its_file_and_stops_on_sigterm(
    tmp_path: Path, free_port: int
):
    command = [sys.executable, "-m", "writing_service", "serve", f"api.port={free_port}", NO_MODELS]
    with subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.DEVNULL
    ) as server:
        deadline = time.monotonic() + 90
        while health(free_port) != 200 and server.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        answered = health(free_port)
        server.send_signal(signal.SIGTERM)
        status = server.wait(timeout=30)
    assert answered == 200
    assert status in (0, -signal.SIGTERM)
    assert " INFO " in (tmp_path / "logs" / "writing_service.log").read_text(encoding="utf-8")


def test_ctrl_c_ends_a_list_with_one_sentence_and_leaves_whole_files_only(tmp_path: Path):
    (tmp_path / "words.csv").write_text("word\n" + "猫\n" * 50, encoding="utf-8")
    size = ["--size", "128x128", "ai_generation.generation.render_at=requested"]
    command = [sys.executable, "-m", "writing_service", "generate", "--from", "words.csv", *size]
    with subprocess.Popen(
        [*command, "-o", "out", "logging.level=ERROR"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        # Whatever is started in the background inherits a deaf ear for Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as drawing:
        assert drawing.stdout
        assert drawing.stdout.readline().startswith("out/0")
        drawing.send_signal(signal.SIGINT)
        _, told = drawing.communicate(timeout=60)
    assert drawing.returncode == 130
    assert told.splitlines()[-1] == "Stopped; what is finished is kept."
    assert "Traceback" not in told
    for path in (tmp_path / "out").glob("*.png"):
        with Image.open(path) as picture:
            picture.load()
    assert not list((tmp_path / "out").glob(".*"))
