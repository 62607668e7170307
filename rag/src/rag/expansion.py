"""Other words for a question: what the LLM is asked, and which lines of its answer are questions."""

import re

from rag.llm import Messages

MAX_TOKENS = 160
_MAX_CHARACTERS = 300
_NUMBER = re.compile(r"^\s*(?:[-*•]|\(?\d+[.):]?)\s*")
NEAR = 0.3
"""Cosine below which a rephrasing has nothing to do with the question."""


def messages(query: str, count: int) -> Messages:
    """Ask the LLM for ``count`` rephrasings."""
    instruction = (
        f"Rewrite the user's question in {count} different ways that a search for documents may profit from: other "
        "words for the same thing, no answer. One per line, no numbers, nothing else."
    )
    return [{"role": "system", "content": instruction}, {"role": "user", "content": query}]


def rephrasings(answer: str, query: str, count: int) -> list[str]:
    """The lines that may be questions, at most ``count``, none of them twice."""
    found: dict[str, str] = {query.casefold(): query}
    for line in answer.splitlines():
        text = _NUMBER.sub("", line).strip().strip('"“”').strip()
        words = text.split()
        if len(words) >= 2 and len(text) <= _MAX_CHARACTERS and len({word.casefold() for word in words}) > 1:
            found.setdefault(text.casefold(), text)
    return list(found.values())[1 : count + 1]
