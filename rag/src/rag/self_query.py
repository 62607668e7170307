"""Whose documents a question asks for: what the LLM is asked, and what of its answer is believed."""

import re
from collections.abc import Sequence

from rag.llm import Messages

MAX_TOKENS = 24
_LISTED = 50
_WORD = re.compile(r"\w+")
_NOBODY = re.compile(r"^\W*(none|nobody|no author|n/?a|null|unknown)\W*$", re.IGNORECASE)


class NonsenseAnswer(Exception):
    """The LLM's answer names no known author, and does not say that there is none."""


def messages(query: str, authors: Sequence[str]) -> Messages:
    """Ask the LLM whose documents the question asks for."""
    listed = "\n".join(f"- {author}" for author in authors[:_LISTED])
    instruction = (
        "A question may ask for documents by one author. Reply with that author's name exactly as it stands in the "
        f"list, and with nothing else. Reply none if the question asks for no author.\n\nAuthors:\n{listed}"
    )
    return [{"role": "system", "content": instruction}, {"role": "user", "content": query}]


def author(answer: str, authors: Sequence[str]) -> str | None:
    """The author that the LLM names; None where it says that there is none.

    Raises:
        NonsenseAnswer: neither.
    """
    line = next((line for line in answer.splitlines() if line.strip()), "")
    if _NOBODY.match(line):
        return None
    if named := mentioned(line, authors):
        return named
    raise NonsenseAnswer("its answer names no author of these documents")


def mentioned(text: str, authors: Sequence[str]) -> str | None:
    """The one author whose full name, or whose surname that no other has, stands in a text."""
    words = _words(text)
    full = [name for name in authors if f" {_words(name).strip()} " in words]
    if len(full) == 1:
        return full[0]
    surnames = [_words(name).split()[-1] for name in authors if _words(name).strip()]
    by_surname = [
        name
        for name in authors
        if (parts := _words(name).split()) and surnames.count(parts[-1]) == 1 and f" {parts[-1]} " in words
    ]
    return by_surname[0] if not full and len(by_surname) == 1 else None


def _words(text: str) -> str:
    """In small letters with single spaces around each word; a possessive's s stands alone."""
    return " {} ".format(" ".join(_WORD.findall(text.casefold())))
