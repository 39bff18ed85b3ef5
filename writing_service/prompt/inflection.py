"""English word forms: what a form may come from, and the -ing form."""

from collections.abc import Iterator

_ENDINGS = (
    ("ies", "y"),
    ("es", ""),
    ("s", ""),
    ("ing", ""),
    ("ing", "e"),
    ("ied", "y"),
    ("ed", ""),
    ("d", ""),
    ("ly", ""),
)

_STRESSED_AT_THE_END = frozenset(
    (
        *("admit", "allot", "begin", "commit", "compel", "control", "deter", "equip"),
        *("excel", "forbid", "forget", "incur", "infer", "occur", "omit", "patrol", "permit"),
        *("prefer", "propel", "rebel", "refer", "regret", "repel", "submit", "transfer"),
        *("transmit", "upset"),
    )
)
"""Verbs of several syllables that double their last letter, as those of one syllable do."""


def base_forms(word: str) -> Iterator[str]:
    """The word, then what it may be a plural, participle or past tense of."""
    yield word
    for ending, stem in _ENDINGS:
        if len(word) > len(ending) + 2 and word.endswith(ending):
            yield word.removesuffix(ending) + stem
    if len(word) > 6 and word.endswith("ing") and word[-4] == word[-5]:
        yield word[:-4]


def gerund(phrase: str) -> str:
    """ "run" → "running", "get up" → "getting up": the first word is the verb."""
    verb, space, rest = phrase.partition(" ")
    return f"{_gerund(verb)}{space}{rest}"


def _gerund(verb: str) -> str:
    if verb.endswith("ing") and len(verb) > 5:
        return verb
    if verb.endswith("ie"):
        return f"{verb[:-2]}ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye", "be")) and len(verb) > 2:
        return f"{verb[:-1]}ing"
    return f"{verb}{verb[-1:] if _doubles(verb) else ''}ing"


def _doubles(verb: str) -> bool:
    """A single vowel before a single consonant at the end of a stressed syllable."""
    if len(verb) < 3 or verb[-1] in "aeiouwxy" or verb[-2] not in "aeiou" or not verb.isalpha():
        return False
    vowels = verb.replace("qu", "q")
    return verb in _STRESSED_AT_THE_END or sum(letter in "aeiou" for letter in vowels) == 1
