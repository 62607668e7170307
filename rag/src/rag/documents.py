"""A file becomes a document: its text, and who wrote it, from front matter, from HTML's own tags or from a README."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path, PurePosixPath

from frontmatter.default_handlers import YAMLHandler
from selectolax.lexbor import LexborHTMLParser, LexborNode
from yaml import YAMLError

CATEGORIES = ("posts", "articles", "repositories")
MARKDOWN = frozenset({".md", ".markdown"})
HTML = frozenset({".html", ".htm"})
CODE = frozenset(
    {".py", ".go", ".rs", ".js", ".ts", ".java", ".c", ".h", ".cpp", ".sh", ".yaml", ".yml", ".toml", ".sql"}
)
MAX_FILE_BYTES = 2_000_000
_LONGEST_NAME = 200
"""Characters of a title or an author: they stand in the prompt and before each passage."""
_HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4}
_BLOCKS = (*_HEADINGS, "p", "li", "pre", "blockquote", "td", "dt", "dd")
_NO_CONTENT = "script, style, nav, header, footer, aside, form, noscript, template"


class Form(StrEnum):
    """How a text is cut into passages."""

    MARKDOWN = "markdown"
    PYTHON = "python"
    PLAIN = "plain"


class UnreadableDocument(Exception):
    """A file that can not become a document, with a sentence that says why."""


@dataclass(frozen=True)
class Document:
    """A text and where it comes from."""

    path: str
    """Relative to the folder that is ingested, with slashes: what the document is known by."""
    title: str
    author: str | None
    url: str
    category: str
    text: str
    form: Form


def is_document(path: Path) -> bool:
    """Whether the file's name is that of a document."""
    return path.suffix.lower() in MARKDOWN | HTML | CODE


def read(path: Path, root: Path) -> Document:
    """The document in a file below ``root``.

    Raises:
        UnreadableDocument: it or its name is no UTF-8, it is too large, lies elsewhere, can not be opened, or says of
            itself what can not be understood.
    """
    relative = PurePosixPath(path.relative_to(root).as_posix())
    content = _content(path, root)
    suffix = path.suffix.lower()
    if suffix in MARKDOWN:
        return _markdown(relative, content)
    if suffix in HTML:
        return _html(relative, content)
    return _code(relative, content, _readme(path, root))


def _content(path: Path, root: Path) -> str:
    relative = path.relative_to(root).as_posix()
    try:
        relative.encode()
        # Links within the folder are how a ConfigMap is mounted; others would publish any file of this machine.
        if not path.resolve().is_relative_to(root.resolve()):
            raise UnreadableDocument(f"{relative} is a link that leads out of the folder: put the file itself there")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UnreadableDocument(f"{relative} is larger than {MAX_FILE_BYTES:,} bytes: cut it into several")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeEncodeError as error:
        raise UnreadableDocument(f"the name {relative!a} is not UTF-8: rename the file or its folder") from error
    except UnicodeDecodeError as error:
        raise UnreadableDocument(f"{relative} is not UTF-8: {error.reason}") from error
    except OSError as error:
        raise UnreadableDocument(f"{relative} can not be read: {error.strerror}") from error


def _markdown(path: PurePosixPath, content: str) -> Document:
    meta, text = _front_matter(path, content)
    first = next((line.lstrip("# ") for line in text.splitlines() if line.startswith("# ")), path.stem)
    return _document(path, meta, text, Form.MARKDOWN, title=first)


def _html(path: PurePosixPath, content: str) -> Document:
    tree = LexborHTMLParser(content)
    meta: dict[str, object] = {
        name.lower(): node.attributes.get("content")
        for node in tree.css("meta[name]")
        if (name := node.attributes.get("name"))
    }
    if canonical := tree.css_first("link[rel=canonical]"):
        meta["url"] = canonical.attributes.get("href")
    heading = tree.css_first("title")
    title = heading.text(strip=True) if heading else ""  # now: it may stand within what is taken away
    for node in tree.css(_NO_CONTENT):
        node.decompose()
    body = tree.css_first("main") or tree.css_first("article") or tree.body
    text = "\n\n".join(_blocks(body)) if body else ""
    return _document(path, meta, text, Form.MARKDOWN, title=title or path.stem)


def _blocks(body: LexborNode) -> list[str]:
    """Headings in Markdown's way, so that HTML is cut as Markdown is."""
    found = []
    for node in body.css(", ".join(_BLOCKS)):
        text = node.text().strip("\n") if node.tag == "pre" else " ".join(node.text(separator=" ").split())
        if not text or _is_within_another(node):
            continue
        if node.tag in _HEADINGS:
            found.append(f"{'#' * _HEADINGS[node.tag]} {text}")
        else:
            found.append(f"- {text}" if node.tag == "li" else text)
    return found


def _is_within_another(node: LexborNode) -> bool:
    """A paragraph of a list, for example: the list's item has its text."""
    parent = node.parent
    while parent is not None:
        if parent.tag in _BLOCKS:
            return True
        parent = parent.parent
    return False


def _code(path: PurePosixPath, content: str, readme: Mapping[str, object]) -> Document:
    form = Form.PYTHON if path.suffix == ".py" else Form.PLAIN
    url = readme.get("url")
    own = {**readme, "title": f"{readme['title']}: {path.name}" if readme.get("title") else str(path)}
    if isinstance(url, str):
        own["url"] = f"{url.rstrip('/')}/{path.name}"
    return _document(path, own, content, form, title=str(path))


def _readme(path: Path, root: Path) -> Mapping[str, object]:
    """What the nearest README above a source file says of its repository."""
    for folder in path.parents:
        readme = folder / "README.md"
        if readme.is_file():
            return _front_matter(PurePosixPath(readme.relative_to(root)), _content(readme, root))[0]
        if folder == root:
            break
    return {}


def _front_matter(path: PurePosixPath, content: str) -> tuple[Mapping[str, object], str]:
    handler = YAMLHandler()
    if not handler.detect(content):
        return {}, content.strip()
    try:
        meta, text = handler.split(content)
        loaded = handler.load(meta)
    # A month 13 is a ValueError; the others come of tags, as in !!int "".
    except (YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        raise UnreadableDocument(f"the front matter of {path} is not YAML: {error}") from error
    return loaded if isinstance(loaded, dict) else {}, text.strip()


def _said(path: PurePosixPath, meta: Mapping[str, object], name: str) -> str:
    """What a document says of itself under a name; empty where it says nothing."""
    value = meta.get(name)
    if value is not None and not isinstance(value, str | int | float | date):
        raise UnreadableDocument(f"{name} in the front matter of {path} is not one text, but a list or a mapping")
    return str(value or "").strip()


def _name(text: str) -> str:
    """In one line, so that none looks like another source in the prompt."""
    return " ".join(text.split())[:_LONGEST_NAME]


def _document(path: PurePosixPath, meta: Mapping[str, object], text: str, form: Form, *, title: str) -> Document:
    category = _said(path, meta, "category") or path.parts[0]
    if category not in CATEGORIES:
        raise UnreadableDocument(
            f"{path} is in no category: put it in a folder of that name, or say category: in its front matter, "
            f"one of {', '.join(CATEGORIES)}"
        )
    url = _said(path, meta, "url")
    return Document(
        path=str(path),
        title=_name(_said(path, meta, "title") or title),
        author=_name(_said(path, meta, "author")) or None,
        # Clients make links of it, and javascript: is an address too.
        url=url if url.lower().startswith(("http://", "https://", "/")) else str(path),
        category=category,
        text=text.replace("\r\n", "\n"),
        form=form,
    )
