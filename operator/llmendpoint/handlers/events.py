"""The only handlers: every watch event of our objects and of what they own is passed on."""

from typing import Any

import kopf

from llmendpoint.api import names
from llmendpoint.cluster.kinds import BATCH, CHILDREN, ENDPOINT, JOB, POD
from llmendpoint.runtime.operator import Operator


def pass_on(operator: Operator, event: kopf.RawEvent) -> None:
    """Tell the operator of a watch event."""
    body = dict(event["object"])
    if event["type"] == "DELETED":
        operator.deleted(body)
    else:
        operator.changed(body)


def register(registry: kopf.OperatorRegistry, operator: Operator) -> None:
    """Watch endpoints, their children and their pods, and batches with their Jobs."""

    async def passed_on(event: kopf.RawEvent, **_: Any) -> None:
        pass_on(operator, event)

    kopf.on.event(ENDPOINT.group, ENDPOINT.version, ENDPOINT.plural, registry=registry)(passed_on)
    for kind in (*CHILDREN, POD):
        kopf.on.event(
            kind.group,
            kind.version,
            kind.plural,
            labels={names.LABEL_ENDPOINT: kopf.PRESENT},
            registry=registry,
        )(passed_on)

    async def of_a_batch(event: kopf.RawEvent, **_: Any) -> None:
        operator.batches.changed(dict(event["object"]))

    kopf.on.event(BATCH.group, BATCH.version, BATCH.plural, registry=registry)(of_a_batch)
    kopf.on.event(JOB.group, JOB.version, JOB.plural, labels={names.LABEL_BATCH: kopf.PRESENT}, registry=registry)(
        of_a_batch
    )
