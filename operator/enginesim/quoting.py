"""An answer that invents nothing: what the prompt itself says, so that a RAG service's answers can be looked at."""

import re

# Sources stand in a prompt as "[1] title", and below it the passage, up to an empty line.
_FIRST_SOURCE = re.compile(r"^\[1\] [^\n]*\n(.+?)(?:\n\n|\Z)", re.MULTILINE | re.DOTALL)
SENTENCE_END = (".", "!", "?")
LONGEST = 120


def quotation(prompt: str) -> list[str]:
    """Words of the source that the prompt numbers 1, and its number; without sources, of the prompt's last line."""
    if source := _FIRST_SOURCE.search(prompt):
        return [*_sentences(source[1].split()), "[1]"]
    lines = [line for line in prompt.splitlines() if line.strip()]
    return lines[-1].split()[:LONGEST] if lines else []


def _sentences(words: list[str]) -> list[str]:
    """So many whole sentences as fit, or a part of the first one."""
    ends = [place for place, word in enumerate(words[:LONGEST], start=1) if word.endswith(SENTENCE_END)]
    return words[: ends[-1] if ends else LONGEST]
