"""The commands, called as typer calls them. Those that draw are in test_processes."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from writing_service.cli.root import cli
from writing_service.config import load_settings
from writing_service.types import ConditioningKind

KINDS = [kind.value for kind in ConditioningKind]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments), env={"COLUMNS": "200"})


def read(*arguments: str) -> object:
    """What a command prints with --json."""
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["generate"], "Give either a WORD or, with --from, a list of words."),
        (["generate", "学", "--from", "words.csv"], "Give either a WORD or, with --from, a list of words."),
        (["generate", "学", "--format", "webp"], "--format is for lists; a single picture's is its file's ending."),
        (["generate", "学", "--columns", "word"], "--columns is for lists: give one with --from."),
        (["generate", "--from", "a.csv", "-n", "2"], "--count is for one word; of a list each word gets one picture."),
        (["generate", "--from", "a.csv", "api.prot=1"], "Unknown setting 'api.prot'; did you mean 'api.port'?"),
        (["styles", "api.prot=1"], "Unknown setting 'api.prot'; did you mean 'api.port'?"),
    ],
)  # fmt: skip
def test_what_is_misused_ends_with_two_and_one_sentence(arguments: list[str], sentence: str):
    done = run(*arguments)
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", f"{sentence}\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["generate", "学", "-o", "word.gif"], "'word.gif' must end in .png, .jpg or .webp."),
        (["generate", "学", "--size", "big"], "--size 'big' is not understood; write it as 768x512."),
        (["generate", "学", "--size", "9x9"], "'width' should be greater than or equal to 100."),
        (["generate", "学", "--seed", "-1"], "'seed' should be greater than or equal to 0."),
        (["generate", "学", "-n", "9"], "'batch_size' should be less than or equal to 8."),
        (["generate", "\u200b"], "The word is empty; send at least one visible character."),
        (["reproduce", "none.png"], "'none.png' cannot be read: No such file or directory."),
        (["fonts", "\U00010f70"], "No font here can draw '\U00010f70' (U+10F70 OLD UYGHUR LETTER ALEPH); remove it "
         "or put a font that has it into the fonts folder."),
    ],
)  # fmt: skip
def test_what_cannot_be_done_ends_with_one_and_one_sentence(arguments: list[str], sentence: str):
    done = run(*arguments)
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"{sentence}\n")


def test_every_command_explains_itself():
    for command in cli.registered_commands:
        assert command.callback
        done = run(command.callback.__name__, "--help")
        assert done.exit_code == 0
        assert "Usage: " in done.stdout
        if command.callback.__name__ != "serve":
            assert "--json" in done.stdout


def test_styles_tell_the_steps_that_the_pipeline_gives_them():
    told = read("styles")
    assert isinstance(told, dict)
    assert list(told) == list(load_settings().ai_generation.styles)
    assert {one["steps"] for one in told.values()} == {6}
    assert list(told["ink"]["controlnet_weights"]) == KINDS
    full = read("styles", "pipeline=sdxl")
    assert isinstance(full, dict)
    assert full["ink"]["steps"] == full["ink"]["recommended_steps"] == 32
    assert "watercolor" in run("styles").stdout


def test_methods_tell_their_options_and_what_learned_ones_need():
    told = read("methods", "ai_generation.detectors.ai_segmentation=null")
    assert isinstance(told, list)
    methods = {one["name"]: one for one in told}
    assert [one for one in KINDS if one in {each["kind"] for each in told}] == KINDS
    assert methods["opencv_canny"]["options"] == {"low": 50, "high": 150}
    assert methods["opencv_canny"]["missing"] is None
    assert "switched off" in methods["ai_segmentation"]["missing"]
    assert "skeletonization_scribble" in run("methods").stdout


def test_fonts_tell_which_font_draws_which_character():
    told = read("fonts", "学سa")
    assert isinstance(told, list)
    assert [(one["text"], one["script"]) for one in told] == [
        ("学", "Han"),
        ("س", "Arabic"),
        ("a", "Latin"),
    ]
    assert told[1]["code_points"] == ["U+0633"]
    assert Path(told[1]["file"]).is_file()
    (brush,) = (read("fonts", "学", "-l", "zh", "--face", "brush"),)
    assert isinstance(brush, list)
    assert brush[0]["font"] != told[0]["font"]
    assert "NotoSansArabic" in run("fonts", "س").stdout


def test_the_doctor_tells_the_same_to_programs():
    done = run("doctor", "--json", "ai_generation.models.base_model=/no/such/folder")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    missing = [one for one in told["findings"] if one["verdict"] == "MISSING"]
    assert any("/no/such/folder" in one["detail"] for one in missing)
    assert told["next"]


def test_a_shell_completes_settings_and_styles():
    from writing_service.cli.arguments import complete_setting, complete_style

    assert "api.port=" in complete_setting("api.po")
    assert "ai_generation.gpu.device=" in complete_setting("ai_generation.gpu")
    assert complete_setting("pipe") == ["pipeline="]
    assert complete_style("in") == ["ink"]
