"""The tables of the command line, as text."""

from rich.console import Console

from writing_service.tables import profile_tables, warmup_table


def as_text(table: object) -> str:
    console = Console(width=100, force_terminal=False)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_warm_up_tells_each_word_and_why_one_failed() -> None:
    memory = {"total_gb": 24.0, "used_gb": 17.25, "percent_used": 70.0, "process_gb": 3.0}
    results = {
        "学": {"success": True, "time_ms": 1234.5, "memory": memory, "stage_times_ms": {}},
        "batch of 2": {
            "success": False,
            "time_ms": 10.0,
            "memory": {**memory, "used_gb": None},
            "error": "[bold] no luck",
        },
    }

    lines = as_text(warmup_table(results)).splitlines()

    first = next(line for line in lines if "学" in line)
    assert all(one in first for one in ("ok", "1.23", "17.2", "3.0"))
    second = next(line for line in lines if "batch of 2" in line)
    assert all(one in second for one in ("failed", "[bold] no luck"))


def test_a_profile_tells_shares_operations_and_memory() -> None:
    profile = {
        "character": "[学]",
        "total_time_ms": 2000.0,
        "stage_times_ms": {"denoise": 1500.0, "decode": 500.0},
        "memory_used_mb": 1.0,
        "peak_memory_mb": 812.4,
        "operations": [{"name": "aten::mm", "calls": 3, "time_ms": 7.25}],
        "trace": "x.json",
    }

    text = as_text(profile_tables(profile))

    assert "[学]: 2.00 s" in text
    assert all(one in text for one in ("75%", "25%", "█" * 18, "aten::mm", "peak 812 MiB"))
