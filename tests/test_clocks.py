"""Whatever is waited for or measured is by clocks that cannot be set: a clock that steps back stops nothing."""

import ast
from pathlib import Path

import writing_service

PACKAGE = Path(writing_service.__file__).parent

TOLD = {
    "api/answer.py": "when an answer was drawn",
    "api/health.py": "the timestamp of an answer",
    "api/openai.py": "when an answer was made, as OpenAI's has it",
    "api/rate_limits.py": "the library's windows, which begin and end by it",
    "client.py": "Retry-After, where a proxy tells it as a date",
    "diffusion/gpu.py": "when a figure was taken",
    "generator.py": "when a stage began, for traces",
    "jobs/database.py": "the one clock that hosts and restarts share",
    "jobs/webhook.py": "the time in a signature",
    "observability/profiler.py": "the name of a file",
    "observability/statistics.py": "when a stage began, for traces",
}
"""Where the time of day is told to others, or shared with them, and why."""

TIME_OF_DAY = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "utcnow")}


def names_the_time_of_day(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [one.func for one in ast.walk(tree) if isinstance(one, ast.Call)]
    return any(
        isinstance(one, ast.Attribute)
        and isinstance(one.value, ast.Name)
        and (one.value.id, one.attr) in TIME_OF_DAY
        for one in calls
    )


def test_the_time_of_day_is_asked_for_only_where_it_is_told():
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if names_the_time_of_day(path)
    }
    assert found == TOLD.keys()
