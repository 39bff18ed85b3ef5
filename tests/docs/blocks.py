"""What the docs let a reader type: shell and Python blocks, and how each is meant to be run."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

_SHELL = ("sh", "bash", "shell", "console")
_TYPED = re.compile(
    r"(\w+=\S* ?|\w+=\$\()*(export|make|curl|writing-service|python|pip|hf|docker|tail|cat) "
)
"""How a block without a fence begins that is a reader's to type."""
_FENCE = re.compile(r"```(\w*)$")
_MARK = re.compile(r"<!-- (not run: (?P<reason>.+)|(?P<error>answers an error)) -->$")
_VARIABLE = re.compile(r"[A-Z_]+=")
_DRAWS = re.compile(r"writing-service (generate|reproduce|profile|warmup)")


@dataclass(frozen=True)
class Block:
    """One block of a page. `reason` is why it is not run; with `refused` it shows an error on purpose."""

    page: str
    line: int
    language: str
    text: str
    reason: str = ""
    refused: bool = False

    @property
    def slow(self) -> bool:
        """Loads the models, or starts several processes."""
        return bool(_DRAWS.search(self.text)) or self.text.count("writing-service") > 1

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks() -> list[Block]:
    """Of all pages."""
    return [block for page in PAGES for block in _blocks(page)]


def _blocks(page: Path) -> Iterator[Block]:
    lines = page.read_text(encoding="utf-8").splitlines()
    at, mark = 0, None
    while at < len(lines):
        fence = _FENCE.match(lines[at])
        end = _end(lines, at, fenced=bool(fence))
        if fence or end > at:
            inside = lines[at + 1 : end] if fence else [line[4:] for line in lines[at:end]]
            language = _language(fence[1] if fence else None, inside)
            if language:
                told = mark.groupdict() if mark else {}
                text = "\n".join(inside)
                reason = told.get("reason") or ""
                yield Block(page.name, at + 1, language, text, reason, bool(told.get("error")))
        else:
            mark = _MARK.match(lines[at]) or (mark if not lines[at].strip() else None)
            at += 1
            continue
        at, mark = end + bool(fence), None


def _end(lines: list[str], start: int, fenced: bool) -> int:
    """The line after the block's last one; `start` where there is none."""
    if fenced:
        return next(at for at in range(start + 1, len(lines)) if lines[at].startswith("```"))
    at = start
    while at < len(lines) and lines[at].startswith("    "):
        at += 1
    return at


def _language(fence: str | None, inside: list[str]) -> str:
    """ "sh", "python", or "" for what nobody types."""
    if fence in _SHELL or (fence is None and _TYPED.match("\n".join(inside))):
        return "sh"
    return "python" if fence == "python" else ""


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command of a shell block, pipes apart, without comments and variables set before it."""
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&")
        lexer.whitespace_split = True
        for word in [*lexer, "|"]:
            if set(word) <= set("|;&"):
                if words:
                    yield words
                words = []
            elif words or not _VARIABLE.match(word):
                words.append(word)
