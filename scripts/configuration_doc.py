"""Write docs/configuration.md from `writing_service/config/` and `conf/config`: texts, bounds and defaults.

python scripts/configuration_doc.py           # writes it
python scripts/configuration_doc.py --check   # says whether it is current
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from writing_service.config import Settings, config_folder, load_settings

TARGET = Path(__file__).parent.parent / "docs" / "configuration.md"
PIPELINES = ("embedded", "sdxl", "sdxl_union", "sdxl_fast")
LONGEST_VALUE = 60
"""Characters of a default that a table shows; longer ones stand in the YAML."""

INTRODUCTION = """\
# Configuration

Made by `python scripts/configuration_doc.py` from `writing_service/config/` and `conf/config`: change those.

Settings are YAML in `conf/config/`, composed by Hydra and checked at the start: a wrong key or value ends it with one
sentence that names the key and, where there is one, the nearest that exists. Any key can be set on the command line:

<!-- not run: serves until it is stopped -->
```sh
writing-service serve api.port=8700 pipeline=sdxl ai_generation.gpu.enable_cpu_offload=true
```

| file | what it sets |
|---|---|
"""

Schema = Mapping[str, Any]


def main() -> None:
    """Write the page, or compare it."""
    # What this machine's environment sets is nobody else's default.
    for name in [name for name in os.environ if name.startswith("WRITING_SERVICE_")]:
        del os.environ[name]
    page = "\n".join(lines()) + "\n"
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(page, encoding="utf-8")
    elif TARGET.read_text(encoding="utf-8") != page:
        sys.exit(f"{TARGET.name} is not current: run python scripts/configuration_doc.py")


def lines() -> Iterator[str]:
    """The whole page."""
    schema = Settings.model_json_schema()
    defaults = load_settings().model_dump(mode="json")
    yield INTRODUCTION + "\n".join(_files())
    yield from _pipelines(defaults)
    for name, child in schema["properties"].items():
        yield from _section(name, _resolved(child, schema), defaults[name], schema)


def _files() -> Iterator[str]:
    """Each with the first comment in it, which says what it is for."""
    for path in sorted(config_folder().rglob("*.yaml")):
        comments = re.match(r"(?:# @package.*\n)?((?:#.*\n)*)", path.read_text(encoding="utf-8"))
        assert comments
        first = " ".join(line.strip("# ") for line in comments[1].splitlines())
        yield f"| `{path.relative_to(config_folder())}` | {first.partition('. ')[0].rstrip('.')} |"


def _pipelines(defaults: Mapping[str, Any]) -> Iterator[str]:
    """What each of them sets otherwise than the default one."""
    yield "\n## What the pipelines set\n"
    yield "`pipeline=NAME` chooses one. Other keys are the same in all of them.\n"
    yield f"| key | {' | '.join(PIPELINES)} |"
    yield f"|---{'|---' * len(PIPELINES)}|"
    each = [
        dict(_flat(load_settings([f"pipeline={name}"]).model_dump(mode="json")))
        for name in PIPELINES
    ]
    for key in dict.fromkeys(key for one in each for key in one):
        values = [_value(one[key]) if key in one else "" for one in each]
        if len(set(values)) > 1:
            yield f"| `{key}` | {' | '.join(values)} |"


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, value


def _section(
    path: str, part: Schema, defaults: Any, schema: Schema, level: int = 2
) -> Iterator[str]:
    """A slice: its text, its keys as a table, then the slices inside. `defaults` None: the fields' own."""
    yield f"\n{'#' * level} {path}\n"
    yield part["description"]
    keys = {
        name: one
        for name, one in part["properties"].items()
        if "properties" not in _resolved(one, schema)
    }
    if keys:
        yield "\n| key | default | takes | |\n|---|---|---|---|"
    for name, one in keys.items():
        yield _row(name, one, part, defaults, schema)
    for name, one in part["properties"].items():
        for ending, inner in _slices(one, schema):
            within = defaults[name] if defaults and not ending else None
            yield from _section(f"{path}.{name}{ending}", inner, within, schema, level + 1)


def _row(name: str, one: Schema, part: Schema, defaults: Any, schema: Schema) -> str:
    required = defaults is None and name in part.get("required", ())
    default = one.get("default") if defaults is None else defaults[name]
    takes = ", or ".join(_takes(one, schema))
    told = " ".join(one.get("description", "").split())
    return f"| `{name}` | {'required' if required else _value(default)} | {takes} | {told} |"


def _slices(one: Schema, schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Slices inside a field, and what stands behind the field's name for each."""
    whole = _resolved(one, schema)
    if "properties" in whole:
        yield "", whole
    for optional in whole.get("anyOf", ()):
        yield from (("", inner) for _, inner in _slices(optional, schema))
    if isinstance(of_each := whole.get("additionalProperties"), Mapping):
        yield from ((".NAME", inner) for _, inner in _slices(of_each, schema))
    if isinstance(of_each := whole.get("items"), Mapping):
        yield from (("[N]", inner) for _, inner in _slices(of_each, schema))


def _resolved(part: Schema, schema: Schema) -> Schema:
    name = part.get("$ref", "").rpartition("/")[2]
    return schema["$defs"][name] if name else part


def _takes(part: Schema, schema: Schema) -> Iterator[str]:
    """What a value may be, in words."""
    if "anyOf" in part:
        for one in part["anyOf"]:
            yield from _takes(one, schema)
        return
    whole = _resolved(part, schema)
    if "enum" in whole:
        yield ", ".join(f"`{one}`" for one in whole["enum"])
    elif whole.get("type") == "object":
        yield _mapping(whole, schema)
    elif whole.get("type") == "array":
        yield _list(whole, schema)
    else:
        yield _TYPES[whole["type"]] + _bounds(whole)


_TYPES = {
    "boolean": "true, false",
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "null": "`null`",
}


def _mapping(part: Schema, schema: Schema) -> str:
    if "properties" in part:
        return "mapping, see below"
    kinds = "by kind" if "propertyNames" in part else "by name"
    if "properties" in _resolved(part["additionalProperties"], schema):
        return f"{kinds}: mapping, see below"
    return f"{kinds}: {' or '.join(_takes(part['additionalProperties'], schema))}"


def _list(part: Schema, schema: Schema) -> str:
    if "prefixItems" in part:
        return f"[{', '.join(' or '.join(_takes(one, schema)) for one in part['prefixItems'])}]"
    inside = part["items"]
    named = "properties" in _resolved(inside, schema)
    return (
        "list of mappings, see below" if named else f"list of {' or '.join(_takes(inside, schema))}"
    )


def _bounds(part: Schema) -> str:
    if "minimum" in part and "maximum" in part:
        return f" {part['minimum']:g} to {part['maximum']:g}"
    words = {
        "minimum": "from",
        "exclusiveMinimum": "above",
        "maximum": "up to",
        "exclusiveMaximum": "below",
    }
    found = [f"{word} {part[key]:g}" for key, word in words.items() if key in part]
    return f" {' '.join(found)}" if found else ""


def _value(value: Any) -> str:
    written = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return f"`{written}`" if len(written) <= LONGEST_VALUE else "see the YAML"


if __name__ == "__main__":
    main()
