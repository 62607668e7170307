"""``rag serve``, ``rag ingest DIR``, ``rag ask "..."``."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import structlog
import typer
import uvicorn
from pydantic import ValidationError
from rich.markup import escape

from rag.hub import ModelUnavailable
from rag.ingestion import Report, ingest, name_of
from rag.loading import Readiness, load_models, open_store
from rag.models import Answer
from rag.page import Terminal, page
from rag.service import make_app
from rag.settings import Settings
from rag.store import StoreUnavailable

# Standard output is for answers.
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)


@app.command()
def serve() -> None:
    """Answer over HTTP until SIGTERM, then finish what is in flight, however long that takes."""
    settings = _settings()
    uvicorn.run(make_app(settings), host=settings.host, port=settings.port, log_level="warning", backlog=2048)


@app.command("ingest")
def ingest_folder(
    folder: Annotated[Path, typer.Argument(help="Markdown, HTML and code, in folders posts, articles, repositories.")],
    corpus: Annotated[str | None, typer.Option(help="Its name in the store; by default the folder's.")] = None,
) -> None:
    """Make the store hold a folder as it is now: new, changed and deleted documents."""
    try:
        report = asyncio.run(_ingest(_settings(), folder, corpus or name_of(folder)))
    except (StoreUnavailable, ModelUnavailable, NotADirectoryError, ModuleNotFoundError) as error:
        raise _failed(str(error)) from error
    _print_report(report)


@app.command()
def ask(query: Annotated[str, typer.Argument(help="A question.")]) -> None:
    """Answer one question here, without the service."""
    settings = _settings()
    try:
        answer = asyncio.run(_ask(settings, query))
    except Exception as error:  # a message is what helps at a terminal
        raise _failed(str(error) or type(error).__name__) from error
    Terminal().print(page(query, answer))


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise _failed(f"{name if name.isupper() else f'RAG_{name.upper()}'}: {first['msg']}") from error


async def _ingest(settings: Settings, folder: Path, corpus: str) -> Report:
    models = await asyncio.to_thread(load_models, settings)
    store = await open_store(settings, models.embedder)
    try:
        return await ingest(folder, corpus, store, models.embedder)
    finally:
        await store.aclose()


async def _ask(settings: Settings, query: str) -> Answer:
    readiness = Readiness(settings)
    try:
        pipeline = await readiness.load_once()
        return await pipeline.answer(query)
    finally:
        await readiness.aclose()


def _print_report(report: Report) -> None:
    console = Terminal()
    counts = (len(report.added), len(report.changed), len(report.removed), report.unchanged)
    console.print("{} added, {} changed, {} removed, {} unchanged".format(*counts), end="")
    console.print(f"; {report.passages} passages embedded")
    for sentence in report.unreadable:
        console.print(f"[yellow]skipped[/] {escape(sentence)}")


def _failed(sentence: str) -> typer.Exit:
    Terminal(stderr=True).print(f"[red]rag:[/] {escape(sentence)}")
    return typer.Exit(1)
