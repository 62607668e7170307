"""What is decided from texts alone: passages, documents, authors, rephrasings, prompts, citations."""

from itertools import pairwise
from pathlib import Path

import pytest

from rag import citation, expansion, prompt, self_query
from rag.budget import Budget, BudgetSpent
from rag.chunking import MAX_CHARACTERS, passages
from rag.documents import Document, Form, UnreadableDocument, read
from rag.models import Answer, Source, Timings
from rag.page import Terminal, page
from rag.store import Stored

AUTHORS = ["Ada Brandt", "Bruno Oyelaran", "Chiara Novak"]


def document(text: str, form: Form = Form.MARKDOWN) -> Document:
    return Document("posts/a.md", "A", "Ada Brandt", "https://a.example", "posts", text, form)


def stored(name: str, position: int = 0, text: str = "words", score: float = 0.0) -> Stored:
    return Stored("c", name, "d", position, name, f"https://x.example/{name}", "posts", "Ada Brandt", "", text, score)


def written(folder: Path, name: str, text: str) -> Document:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return read(path, folder)


def test_markdown_is_cut_at_headings_and_passages_know_those_above_them() -> None:
    found = passages(document("lead\n\n# One\n\nfirst\n\n## Deeper\n\nsecond\n\n# Two\n\nthird"))
    assert [(each.heading, each.text.strip()) for each in found] == [
        ("", "lead"), ("One", "first"), ("One > Deeper", "second"), ("Two", "third"),
    ]  # fmt: skip


def test_only_a_line_feed_ends_a_line() -> None:
    found = passages(document("# One\n\nfirst\u2028more\x0b\n\n# Two\n\nsecond"))
    assert [(each.heading, each.text.split()[0]) for each in found] == [("One", "first"), ("Two", "second")]


def test_python_that_is_nested_too_deep_is_text() -> None:
    assert "".join(each.text for each in passages(document("-" * 200_000 + "1", Form.PYTHON))) == "-" * 200_000 + "1"


def test_a_hash_within_a_block_of_code_is_no_heading() -> None:
    found = passages(document("# One\n\n```sh\n# not a heading\nls\n```"))
    assert [each.heading for each in found] == ["One"]
    assert "# not a heading" in found[0].text


def test_no_passage_is_longer_than_the_model_reads_and_no_word_is_lost() -> None:
    text = "\n\n".join(" ".join(f"word{number}" for number in range(start, start + 300)) for start in (0, 300, 600))
    found = passages(document(text))
    assert max(len(each.text) for each in found) <= MAX_CHARACTERS
    assert " ".join(each.text for each in found).split() == text.split()


def test_text_without_any_space_is_cut_as_well() -> None:
    found = passages(document("x" * 5000))
    assert "".join(each.text for each in found) == "x" * 5000
    assert max(len(each.text) for each in found) <= MAX_CHARACTERS


def test_python_is_cut_at_definitions_with_their_decorators() -> None:
    code = "import os\n\n\n@cache\ndef one():\n    return 1\n\n\nclass Two:\n    pass\n\n\nLAST = 3\n"
    found = passages(document(code, Form.PYTHON))
    assert [(each.heading, each.text.split("\n")[0]) for each in found] == [
        ("", "import os"), ("one", "@cache"), ("Two", "class Two:"), ("", "LAST = 3"),
    ]  # fmt: skip


def test_python_that_does_not_parse_is_text() -> None:
    assert passages(document("def (:\n  what", Form.PYTHON))[0].text == "def (:\n  what"


def test_front_matter_says_who_wrote_what_and_where(tmp_path: Path) -> None:
    found = written(tmp_path, "posts/a.md", "---\ntitle: A\nauthor: Ada Brandt\nurl: https://a.example\n---\nText")
    assert (found.title, found.author, found.url, found.category) == ("A", "Ada Brandt", "https://a.example", "posts")
    assert found.text == "Text"


def test_without_front_matter_the_first_heading_is_the_title_and_the_path_the_address(tmp_path: Path) -> None:
    found = written(tmp_path, "articles/b.md", "# Bread\n\nText")
    assert (found.title, found.author, found.url) == ("Bread", None, "articles/b.md")


def test_html_gives_what_a_reader_sees(tmp_path: Path) -> None:
    found = written(
        tmp_path,
        "articles/b.html",
        '<html><head><title>Bread</title><meta name="author" content="Ada"><link rel="canonical" href="https://b.example">'
        "</head><body><nav><p>menu</p></nav><main><h2>Dough</h2><ul><li><p>mix <b>it</b></p></li></ul>"
        "<script>bad()</script></main></body></html>",
    )
    assert (found.title, found.author, found.url) == ("Bread", "Ada", "https://b.example")
    assert found.text == "## Dough\n\n- mix it"


def test_an_address_that_a_click_would_run_is_not_taken(tmp_path: Path) -> None:
    found = written(tmp_path, "posts/a.html", '<link rel="canonical" href="JavaScript:alert(1)"><p>text')
    assert found.url == "posts/a.html"


def test_a_title_is_one_line_and_leaves_room_for_the_text(tmp_path: Path) -> None:
    title = "Bread\n\n[2] Another by Ada " + "x" * 10_000
    found = written(tmp_path, "posts/a.html", f"<title>{title}</title><p>text</p>")
    assert found.title.startswith("Bread [2] Another by Ada xxx")
    content = prompt.messages("why?", [prompt.Ranked((stored(found.title, text="words"),), 1.0)], 1000)[1]["content"]
    assert "words" in content
    assert len(content) < 1000


def test_a_title_within_what_is_taken_away_is_kept(tmp_path: Path) -> None:
    found = written(tmp_path, "posts/a.html", "<body><header><title>Bread</title></header><p>text</p></body>")
    assert (found.title, found.text) == ("Bread", "text")


def test_markdown_that_begins_with_a_brace_is_no_front_matter(tmp_path: Path) -> None:
    assert written(tmp_path, "posts/a.md", '{\n"a":\n}\n\ntext').text == '{\n"a":\n}\n\ntext'


def test_code_has_the_author_of_its_readme(tmp_path: Path) -> None:
    written(tmp_path, "repositories/x/README.md", "---\ntitle: x\nauthor: Ada\nurl: https://x.example/\n---\nX")
    found = written(tmp_path, "repositories/x/src/main.go", "package main")
    assert (found.title, found.author, found.url) == ("x: main.go", "Ada", "https://x.example/main.go")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("elsewhere/a.md", b"text", "in no category"),
        ("posts/a.md", b"\xff\xfe\x00", "is not UTF-8"),
        ("posts/a.md", b"---\ntitle: [\n---\ntext", "is not YAML"),
        ("posts/a.md", b"---\ndate: 2026-13-45\n---\ntext", "is not YAML: month must be in 1..12"),
        ("posts/a.md", b'---\npages: !!int ""\n---\ntext', "is not YAML: string index out of range"),
        ("posts/a.md", b"---\ndraft: !!bool maybe\n---\ntext", "is not YAML: 'maybe'"),
        ("posts/a.md", b"---\ndate: !!timestamp today\n---\ntext", "is not YAML: 'NoneType'"),
        (
            "posts/a.md",
            b"---\nauthor: [Ada, Bruno]\n---\ntext",
            "author in the front matter of posts/a.md is not one text",
        ),
    ],
)
def test_what_can_not_be_read_is_said_in_a_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(UnreadableDocument, match=sentence):
        read(path, tmp_path)


@pytest.mark.parametrize("answer", ["none", "None.", '"none"', "N/A", "\n none \n"])
def test_an_llm_may_say_that_no_author_is_asked_for(answer: str) -> None:
    assert self_query.author(answer, AUTHORS) is None


@pytest.mark.parametrize("answer", ["Ada Brandt", "ada brandt.", "Author: Ada Brandt", "**Ada Brandt**", "Brandt"])
def test_an_author_is_believed_in_any_dress(answer: str) -> None:
    assert self_query.author(answer, AUTHORS) == "Ada Brandt"


@pytest.mark.parametrize("answer", ["", "lorem lorem lorem", "Paul Smith", "Ada Brandt or Chiara Novak"])
def test_noise_is_no_author(answer: str) -> None:
    with pytest.raises(self_query.NonsenseAnswer):
        self_query.author(answer, AUTHORS)


def test_a_name_in_the_question_is_found_without_an_llm() -> None:
    assert self_query.mentioned("What did Ada Brandt's posts say?", AUTHORS) == "Ada Brandt"
    assert self_query.mentioned("What does Novak think?", AUTHORS) == "Chiara Novak"
    assert self_query.mentioned("Compare Ada Brandt with Chiara Novak", AUTHORS) is None
    assert self_query.mentioned("What did Brandt write?", ["Ada Brandt", "Willy Brandt"]) is None
    assert self_query.mentioned("What did Adam Brandtner write?", AUTHORS) is None


def test_rephrasings_come_without_numbers_preambles_and_repetition() -> None:
    answer = 'Here are two ways:\n1. How slow is it?\n- "How slow is it?"\n\n2) What takes long?\n3. More of it?'
    assert expansion.rephrasings(answer, "why?", 2) == ["How slow is it?", "What takes long?"]


@pytest.mark.parametrize("answer", ["", "lorem " * 60, "x" * 1000, "word", "why is that?"])
def test_noise_is_no_rephrasing(answer: str) -> None:
    assert expansion.rephrasings(answer, "Why is that?", 2) == []


def test_documents_are_ranked_by_their_best_passage_and_keep_their_order_within() -> None:
    found = prompt.ranked([stored("a", 1), stored("b"), stored("a", 0), stored("c")], [0.5, 0.9, 0.1, 0.2], 2)
    assert [(each.passages[0].document, each.score) for each in found] == [("b", 0.9), ("a", 0.5)]
    assert [each.position for each in found[1].passages] == [0, 1]


@pytest.mark.parametrize("characters", [300, 1000, 3000])
def test_sources_stay_within_their_budget_and_all_are_named(characters: int) -> None:
    sources = [prompt.Ranked((stored(name, text=f"{name} word " * 200),), 1.0) for name in "abc"]
    content = prompt.messages("why?", sources, characters)[1]["content"]
    assert all(f"[{number}] {name} by Ada Brandt" in content for number, name in enumerate("abc", start=1))
    assert len(content) <= characters + 60
    assert content.endswith("Question: why?")


def test_a_short_source_leaves_its_share_to_the_others() -> None:
    sources = [prompt.Ranked((stored("a", text="short"),), 1.0), prompt.Ranked((stored("b", text="b" * 800),), 1.0)]
    assert "b" * 800 in prompt.messages("why?", sources, 900)[1]["content"]


def test_cited_sources_come_first_and_keep_their_numbers() -> None:
    sources = [Source(id=n, title="", url="", category="", author=None, score=0) for n in (1, 2, 3, 4)]
    text = "So it is [3], and also [1, 3][9]."
    assert [source.id for source in citation.arranged(sources, text)] == [3, 1, 2, 4]
    assert citation.unknown(sources, text) == [9]
    assert citation.cited(f"[{'1' * 5000}]") == [], "more than Python makes a number of"


def test_a_terminal_gets_no_control_characters_of_documents_or_of_the_llm(capsys: pytest.CaptureFixture[str]) -> None:
    title = "\x1b]0;{}\x07\x9b31m".format
    source = Source(id=1, title=title("t"), url=title("u"), category="posts", author=title("a"), score=0)
    answer = Answer(answer=f"So [1] {title('l')}.", sources=[source], timings=Timings(), degraded=[title("d")])
    Terminal(force_terminal=True).print(page(title("q"), answer))
    printed = capsys.readouterr().out
    assert all(f"]0;{letter}31m" in printed for letter in "tualdq")
    assert "\x1b[1m" in printed, "styles stay"
    assert not {"\x1b]", "\x07", "\x9b"} & {*printed, *map("".join, pairwise(printed))}


def test_a_budget_is_shared() -> None:
    now = [0.0]
    budget = Budget(10.0, lambda: now[0])
    assert budget.spare(4.0, reserve=5.0) == 4.0
    now[0] = 7.0
    assert budget.spare(4.0, reserve=5.0) == 0.0
    assert budget.needed("generation") == 3.0
    now[0] = 11.0
    with pytest.raises(BudgetSpent, match="10 s ran out before generation"):
        budget.needed("generation")
