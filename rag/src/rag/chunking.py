"""A document is cut into passages that one vector can stand for: by headings, by definitions, by blank lines."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from markdown_it import MarkdownIt

from rag.documents import Document, Form

MAX_CHARACTERS = 900
"""About 200 tokens: the embedding model reads 256."""
VERSION = 1
"""Goes up when a document would be cut in another way, so that all are ingested anew."""


@dataclass(frozen=True)
class Passage:
    """A part of a document."""

    heading: str
    """Where in the document: headings from the outermost to the innermost, or a definition's name."""
    text: str


def passages(document: Document) -> list[Passage]:
    """The document's passages, in its order."""
    cut = {Form.MARKDOWN: _by_headings, Form.PYTHON: _by_definitions, Form.PLAIN: _by_blank_lines}[document.form]
    return [
        Passage(section.heading, text)
        for section in cut(document.text)
        for text in _packed(section.text.strip("\n").split("\n\n"))
    ]


def _by_headings(text: str) -> Iterator[Passage]:
    lines = text.split("\n")  # as Markdown counts them: splitlines knows more ends of lines
    path: list[tuple[int, str]] = []
    start = 0
    tokens = MarkdownIt().parse(text)
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open" or opening.map is None or opening.level > 0:
            continue
        yield Passage(_joined(path), "\n".join(lines[start : opening.map[0]]))
        level = int(opening.tag[1])
        path = [*((above, name) for above, name in path if above < level), (level, inline.content)]
        start = opening.map[1]
    yield Passage(_joined(path), "\n".join(lines[start:]))


def _joined(path: Iterable[tuple[int, str]]) -> str:
    return " > ".join(name for _, name in path)


def _by_definitions(text: str) -> Iterator[Passage]:
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last where it is nested too deep
        yield from _by_blank_lines(text)
        return
    lines = text.split("\n")  # as Python counts them
    start = 0
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        begin = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
        yield Passage("", "\n".join(lines[start:begin]))
        start = node.end_lineno or node.lineno
        yield Passage(node.name, "\n".join(lines[begin:start]))
    yield Passage("", "\n".join(lines[start:]))


def _by_blank_lines(text: str) -> Iterator[Passage]:
    yield Passage("", text)


def _packed(blocks: Iterable[str]) -> Iterator[str]:
    """Blocks put together as long as they fit; a longer one is cut where a line or a sentence ends."""
    packed = ""
    for block in blocks:
        for piece in _pieces(block):
            if packed and len(packed) + 2 + len(piece) > MAX_CHARACTERS:
                yield packed
                packed = ""
            packed = f"{packed}\n\n{piece}" if packed else piece
    if packed.strip():
        yield packed


def _pieces(block: str) -> Iterator[str]:
    while len(block) > MAX_CHARACTERS:
        ends = (block.rfind(end, 0, MAX_CHARACTERS) for end in ("\n", ". ", " "))
        end = next((place for place in ends if place > 0), MAX_CHARACTERS - 1) + 1
        yield block[:end].strip("\n")
        block = block[end:]
    if block.strip():
        yield block
