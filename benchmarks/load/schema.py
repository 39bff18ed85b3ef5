"""Requests that schemathesis makes up from the OpenAPI document, right and wrong ones, and what the answers break."""

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

LARGEST = {"width": 160, "height": 160, "batch_size": 2, "num_inference_steps": 8}
"""Nothing but time is gained from larger pictures."""

PATIENCE = 60
_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
_MEANT = (503, 504)
"""Answers of a busy service, which the document tells; every other status from 500 on is a failure."""


@dataclass(frozen=True)
class Found:
    """How many operations were asked, how often each status came, and one line for each broken promise."""

    operations: int
    statuses: Mapping[int, int]
    failures: tuple[str, ...]


def check_document(
    url: str, examples: int, only: str | None = None, seconds: float = 3600.0
) -> Found:
    """Up to `examples` right and as many wrong requests to every operation of the service at `url`.

    No more are begun after `seconds`. `only` is the one path to ask.
    """
    load_all_checks()
    deadline = time.monotonic() + seconds
    operations = [
        result.ok()
        for result in schemathesis.openapi.from_url(f"{url}/api/openapi.json").get_all_operations()
    ]
    chosen = [one for one in operations if only is None or one.path == only]
    statuses, failures = Counter[int](), dict[str, None]()
    for operation in chosen:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            if time.monotonic() > deadline or (
                mode is _NEGATIVE and not _takes_anything(operation)
            ):
                continue
            for status, broken in _answers(operation, mode, examples):
                statuses[status] += 1
                failures |= dict.fromkeys(broken)
    return Found(len(chosen), dict(sorted(statuses.items())), tuple(failures))


_NEGATIVE = GenerationMode.NEGATIVE


def _takes_anything(operation: Any) -> bool:
    """Whether a request can be wrong at all."""
    return bool(operation.body or operation.query or operation.headers or operation.path_parameters)


def _answers(operation: Any, mode: GenerationMode, examples: int) -> list[tuple[int, list[str]]]:
    """Of each request, the status and what its answer breaks."""
    told = list[tuple[int, list[str]]]()

    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case) -> None:
        _shrink(case.body)
        answer = case.call(timeout=PATIENCE)
        told.append((answer.status_code, _broken(case, answer)))

    # Where any text is right, there are no wrong requests.
    with suppress(Unsatisfiable):
        ask()
    return told


def _broken(case: Case, answer: Response) -> list[str]:
    names = [
        name for name in _CHECKS if name != "not_a_server_error" or answer.status_code not in _MEANT
    ]
    try:
        case.validate_response(answer, checks=[CHECKS.get_one(name) for name in names])
    except FailureGroup as group:
        place = f"{case.method} {case.operation.path} {answer.status_code}"
        return [
            f"{place}: {one.title}: {' '.join(one.message.split())[:300]}"
            for one in group.exceptions
        ]
    return []


def _shrink(body: object) -> None:
    if isinstance(body, dict):
        for name, most in LARGEST.items():
            value = body.get(name)
            if isinstance(value, int) and not isinstance(value, bool) and value > most:
                body[name] = most
