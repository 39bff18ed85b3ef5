"""The page's parts fit together: ids, texts, modules."""

import json
import re

import pytest

from writing_service.studio.routes import FILES

PAGE = (FILES / "index.html").read_text()
SCRIPTS = {one.name: one.read_text() for one in FILES.glob("*.js")}
CODE = "\n".join(SCRIPTS.values())
TEXTS = {one.stem: json.loads(one.read_text()) for one in (FILES / "locales").glob("*.json")}
ENGLISH = TEXTS["en"]
KEYS_MADE_OF_NAMES = (
    "style.",
    "kind.",
    "preset.",
    "tile.",
    "weight.",
    "method.",
    "stage.",
    "fact.",
)


def test_every_element_that_a_script_looks_up_is_in_the_page():
    ids = set(re.findall(r'\sid="([\w-]+)"', PAGE))
    wanted = set(re.findall(r'(?:byId|copyOf|answerOf)\("([\w-]+)"\)', CODE))
    assert wanted
    assert wanted <= ids


def test_no_id_is_given_twice():
    ids = re.findall(r'\sid="([\w-]+)"', PAGE)
    assert len(ids) == len(set(ids))


def test_every_label_belongs_to_a_field():
    ids = set(re.findall(r'\sid="([\w-]+)"', PAGE))
    assert set(re.findall(r'\sfor="([\w-]+)"', PAGE)) <= ids
    assert set(re.findall(r'\saria-labelledby="([\w-]+)"', PAGE)) <= ids


def test_modules_import_only_what_there_is():
    for name, source in SCRIPTS.items():
        for names, module in re.findall(r"import (.+?) from \"\./([\w.]+)\"", source):
            assert module in SCRIPTS, name
            if names.startswith("{"):
                for one in re.findall(r"\w+", names):
                    exported = rf"export (?:async )?(?:function\*? |const ){one}\b"
                    assert re.search(exported, SCRIPTS[module]), f"{name}: {one} of {module}"


def test_no_module_writes_markup():
    """Words come from users; none of them may ever become an element."""
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", CODE)


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_dictionaries_say_the_same(language: str):
    assert list(TEXTS[language]) == list(ENGLISH)
    for key, sentence in TEXTS[language].items():
        assert sentence.strip(), key
        assert set(re.findall(r"{\w+}", sentence)) == set(re.findall(r"{\w+}", ENGLISH[key])), key


def test_the_page_offers_every_dictionary():
    (listed,) = re.findall(r"const LANGUAGES = {(.+?)};", SCRIPTS["texts.js"])
    assert set(re.findall(r"(\w+):", listed)) == set(TEXTS)


def test_every_text_that_is_said_is_in_the_dictionary_and_none_is_left_over():
    in_page = set(re.findall(r'data-(?:text|label|alt|placeholder)="([^"]+)"', PAGE))
    in_code = set(re.findall(r'"([a-z]+\.[a-z_]+)"', CODE))
    said = in_page | in_code
    assert said <= set(ENGLISH), said - set(ENGLISH)
    unsaid = {key for key in set(ENGLISH) - said if not key.startswith(KEYS_MADE_OF_NAMES)}
    assert not unsaid
