"""The only handlers: every watch event of our objects and of what they own is passed on."""

from typing import Any

import kopf

from llmendpoint.api import names
from llmendpoint.cluster.kinds import CHILDREN, ENDPOINT, POD
from llmendpoint.runtime.operator import Operator


def register(registry: kopf.OperatorRegistry, operator: Operator) -> None:
    """Watch endpoints, their children and their pods."""

    async def passed_on(event: kopf.RawEvent, **_: Any) -> None:
        body = dict(event["object"])
        if event["type"] == "DELETED":
            operator.deleted(body)
        else:
            operator.changed(body)

    kopf.on.event(ENDPOINT.group, ENDPOINT.version, ENDPOINT.plural, registry=registry)(passed_on)
    for kind in (*CHILDREN, POD):
        kopf.on.event(
            kind.group,
            kind.version,
            kind.plural,
            labels={names.LABEL_ENDPOINT: kopf.PRESENT},
            registry=registry,
        )(passed_on)
