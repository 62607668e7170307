"""Other words for a question: what the LLM is asked, and which lines of its answer are questions."""

import re

from rag.llm import Messages

MAX_TOKENS = 160
_MAX_CHARACTERS = 300
_NUMBER = re.compile(r"^\s*(?:[-*•]|\(?\d+[.):]?)\s*")


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
        if _may_be_a_question(text):
            found.setdefault(text.casefold(), text)
    return list(found.values())[1 : count + 1]


def _may_be_a_question(text: str) -> bool:
    """Not what introduces a list, not an essay, not one word over and over."""
    different = {word.casefold() for word in text.split()}
    return len(different) > 1 and len(text) <= _MAX_CHARACTERS and not text.endswith(":")
