"""What the command line shows as tables: what there is to choose from, how warming up went, where time goes.

On a terminal with lines and colours; in a file or pipe as plain text.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

_BAR = 24


def styles_table(styles: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row for each of the settings' styles, under the `steps` and the `guidance` that it gets."""
    table = Table("style", "steps", "guidance", "face")
    weights = [one["controlnet_weights"] for one in styles.values()]
    kinds = list(dict.fromkeys(kind for one in weights for kind in one))
    for kind in kinds:
        table.add_column(kind, justify="right")
    for (name, one), of_style in zip(styles.items(), weights, strict=True):
        numbers = [f"{of_style.get(kind, 0):g}" for kind in kinds]
        table.add_row(
            escape(name), str(one["steps"]), f"{one['guidance']:g}", one["face"], *numbers
        )
    return table


def methods_table(methods: Iterable[Mapping[str, Any]]) -> Table:
    """A row for each, with the fields of MethodAbout."""
    table = Table("kind", "method", "options", "what it draws, or what it needs")
    for one in methods:
        options = ", ".join(f"{name}={value:g}" for name, value in one["options"].items())
        told = f"[yellow]{escape(one['missing'])}[/]" if one["missing"] else escape(one["about"])
        table.add_row(one["kind"], one["name"], options, told)
    return table


def fonts_table(pieces: Iterable[Mapping[str, Any]]) -> Table:
    """A row for each character of a word."""
    table = Table("character", "code points", "script", "font")
    for one in pieces:
        table.add_row(escape(one["text"]), " ".join(one["code_points"]), one["script"], one["font"])
    return table


def warmup_table(results: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row for each of `ModelWarmer.warmup_models`."""
    table = Table("word", "", title="Warm-up")
    table.add_column("seconds", justify="right")
    table.add_column("GPU GiB", justify="right")
    table.add_column("process GiB", justify="right")
    table.add_column("why not")
    for name, one in results.items():
        memory = one["memory"]
        table.add_row(
            name,
            "[green]ok[/]" if one["success"] else "[red]failed[/]",
            f"{one['time_ms'] / 1000:.2f}",
            _number(memory["used_gb"]),
            _number(memory["process_gb"]),
            escape(one.get("error", "")),
        )
    return table


def profile_tables(profile: Mapping[str, Any]) -> RenderableType:
    """The stages, the longest operations and the memory of `AIProfiler.profile_generation`."""
    total = profile["total_time_ms"]
    stages = Table("stage", title=f"{escape(profile['character'])}: {total / 1000:.2f} s")
    stages.add_column("ms", justify="right")
    stages.add_column("of all", justify="right")
    stages.add_column("", min_width=_BAR)
    for name, milliseconds in profile["stage_times_ms"].items():
        share = milliseconds / total
        stages.add_row(name, f"{milliseconds:.1f}", f"{share:.0%}", "█" * round(_BAR * share))
    operations = Table("operation", title="Longest operations (traced, which slows them a little)")
    operations.add_column("calls", justify="right")
    operations.add_column("ms", justify="right")
    for one in profile["operations"]:
        operations.add_row(escape(one["name"]), str(one["calls"]), f"{one['time_ms']:.1f}")
    memory = (
        f"Memory: peak {profile['peak_memory_mb']:.0f} MiB, "
        f"{profile['memory_used_mb']:+.0f} MiB left taken afterwards."
    )
    return Group(stages, operations, memory)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
