"""``llmendpoint import-sagemaker``: the scaling of a SageMaker endpoint as spec.scaling."""

import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

from llmendpoint.api import names, plain_yaml
from llmendpoint.api.scaling import Scaling
from llmendpoint.cli.files import fail
from llmendpoint.cli.sagemaker.conversion import Imported, convert
from llmendpoint.cli.sagemaker.documents import Unusable, read
from llmendpoint.scaling.schedules import schedule_problems

COLUMNS = 100


def import_sagemaker(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="JSON of aws application-autoscaling describe-scaling-policies, describe-scalable-targets and "
            "describe-scheduled-actions, or of what put-... and register-... take; for step scaling also of "
            "aws cloudwatch describe-alarms.",
            exists=True,
            dir_okay=False,
        ),
    ],
    resource_id: Annotated[
        str | None,
        typer.Option(help="Scalable target, such as endpoint/NAME/variant/NAME, where the files have several."),
    ] = None,
) -> None:
    """Print spec.scaling for the scaling policies of a SageMaker endpoint, with notes on what differs."""
    try:
        documents = read((str(file), _text(file)) for file in files)
        resource = _chosen(documents.resources, resource_id)
        imported = convert(documents.of(resource))
    except Unusable as error:
        fail(str(error))
    if wrong := _problems(imported.scaling):
        fail(f"{resource or 'the policy'} gives a spec.scaling that is refused: {'; '.join(wrong)}")
    typer.echo(_text_of(imported, resource), nl=False)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except UnicodeDecodeError:
        fail(f"{file} is not text: give what aws ... --output json prints")


def _chosen(resources: list[str], wanted: str | None) -> str:
    if wanted is not None and wanted not in resources:
        raise Unusable(f"{wanted} is not in the files, which are about {', '.join(resources) or 'none that is named'}")
    if wanted is None and len(resources) > 1:
        raise Unusable(f"choose one with --resource-id: {', '.join(resources)}")
    return wanted or next(iter(resources), "")


def _problems(scaling: dict[str, Any]) -> list[str]:
    from llmendpoint.cli import validation

    body = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": "imported"},
        "spec": {"model": {"source": "hf://any/model"}, "scaling": scaling},
    }
    return validation.problems(body) or schedule_problems(Scaling.model_validate(scaling))


def _text_of(imported: Imported, resource: str) -> str:
    lines = [f"# From SageMaker {resource}".rstrip(), "# What differs:" if imported.notes else "#"]
    for note in imported.notes:
        lines += textwrap.wrap(note, COLUMNS, initial_indent="# - ", subsequent_indent="#   ")
    return "\n".join(lines) + "\n" + plain_yaml.dump({"spec": {"scaling": imported.scaling}})
