"""docs/configuration.md: made from the settings, and current."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from writing_service.config import Settings, config_folder

SCRIPT = config_folder().parents[1] / "scripts" / "configuration_doc.py"


def undescribed(schema: dict[str, Any]) -> Iterator[str]:
    """Settings without a text of their own; slices have theirs."""
    for slice_name, part in schema["$defs"].items():
        for name, one in part.get("properties", {}).items():
            if "description" not in one and "$ref" not in one:
                yield f"{slice_name}.{name}"


def test_every_setting_says_what_it_does():
    assert list(undescribed(Settings.model_json_schema())) == []


def test_the_page_is_current():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
