"""English word forms."""

import pytest

from writing_service.prompt.inflection import base_forms, gerund


@pytest.mark.parametrize(
    ("verb", "form"),
    [
        *(("study", "studying"), ("run", "running"), ("make", "making"), ("lie", "lying")),
        *(("see", "seeing"), ("begin", "beginning"), ("open", "opening"), ("quit", "quitting")),
        *(("fix", "fixing"), ("play", "playing"), ("be", "being"), ("eat", "eating")),
        *(("get up", "getting up"), ("fall in love", "falling in love"), ("sing", "singing")),
    ],
)
def test_the_ing_form(verb: str, form: str):
    assert gerund(verb) == form


@pytest.mark.parametrize(
    ("form", "word"),
    [("cats", "cat"), ("berries", "berry"), ("studying", "study"), ("running", "run")],
)
def test_what_a_form_may_come_from(form: str, word: str):
    assert next(base_forms(form)) == form
    assert word in base_forms(form)
