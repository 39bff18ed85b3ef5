"""How a command ends: its exit code, one sentence on stderr, data on stdout."""

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import typer

from writing_service.errors import ConfigurationError, WritingServiceError
from writing_service.observability.logs import close_logs

DONE = 0
FAILED = 1
"""What was asked for could not be done, or not all of it."""
MISUSED = 2
"""The command line or a setting is wrong."""
UNLIKE = 3
"""`reproduce` drew a picture, and it is not the one in the file."""
STOPPED = 130
"""By Ctrl-C, as shells count it."""


@contextmanager
def failures_in_one_sentence() -> Generator[None]:
    """Our own errors end the command with their sentence on stderr, and no traceback."""
    try:
        yield
    except ConfigurationError as error:
        raise ended(str(error), MISUSED) from None
    except WritingServiceError as error:
        raise ended(str(error), FAILED) from None
    except BrokenPipeError:
        # Whoever read the output has seen enough. Nothing may be flushed into the pipe any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        raise ended("Stopped; what is finished is kept.", STOPPED) from None
    finally:
        close_logs()


def ended(sentence: str, status: int) -> typer.Exit:
    """To be raised."""
    note(sentence)
    return typer.Exit(status)


def note(sentence: str) -> None:
    """For whoever watches, not for whatever reads the output."""
    typer.echo(sentence, err=True)


def show_json(value: Any) -> None:
    """On stdout, indented."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def show_json_line(value: Any) -> None:
    """On stdout, one line: of many."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))
