"""The import rules of pyproject.toml hold, and every folder of code is a package (else they would be blind to it)."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_import_contracts_hold():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_folder_of_code_is_a_package():
    for top in ("writing_service", "training", "tests"):
        for module in (ROOT / top).rglob("*.py"):
            assert (module.parent / "__init__.py").exists(), module


def test_what_stands_around_the_models_starts_without_torch():
    """The command line and the doors must answer at once: torch takes seconds to import."""
    for module in ("writing_service.__main__", "writing_service.diffusion.doors"):
        program = f"import sys, {module}; sys.exit('torch' in sys.modules)"
        assert (
            subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
        )
