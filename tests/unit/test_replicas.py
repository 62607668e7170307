"""Who decides the engine's replica count, and what it is."""

from typing import Any

import pytest

from llmendpoint.api.names import LABEL_MANAGED_BY, MANAGED_BY
from llmendpoint.reconcile.observation import observe
from llmendpoint.reconcile.replicas import SpecReplicas, wanted_replicas
from support.builders import endpoint

BOUNDS = {"minReplicas": 2, "maxReplicas": 6}
ACTIVE, DRY_RUN, OFF = ({**BOUNDS, "mode": mode} for mode in ("Active", "DryRun", "Off"))


def decided(
    scaling: dict[str, Any] | None, replicas: int | None, running: int | None, scaler: int = 4
) -> tuple[int, SpecReplicas]:
    """The count, and what to write into spec.replicas; ``running`` is the Deployment's count, -1 if it has none."""
    spec: dict[str, Any] = {"scaling": scaling} if scaling else {}
    if replicas is not None:
        spec["replicas"] = replicas
    metadata = {"name": "llama-engine", "labels": {LABEL_MANAGED_BY: MANAGED_BY}}
    made = [{"kind": "Deployment", "metadata": metadata, "spec": {} if running == -1 else {"replicas": running}}]
    return wanted_replicas(observe(endpoint(**spec), made if running is not None else [], []), scaler)


@pytest.mark.parametrize(
    ("what", "scaling", "replicas", "running", "count", "write"),
    [
        ("the scaler decides", ACTIVE, None, 2, 4, "keep"),
        ("and takes over what was set by hand", ACTIVE, 9, 9, 4, None),
        ("spec.replicas counts without a scaler", None, 3, 1, 3, "keep"),
        ("with a scaler that is off", OFF, 3, 1, 3, "keep"),
        ("and with one that only reports", DRY_RUN, 3, 1, 3, "keep"),
        ("outside of the bounds as well", OFF, 9, 1, 9, "keep"),
        ("down to nothing", None, 0, 1, 0, "keep"),
        ("a size that nobody set is kept and written down", OFF, None, 5, 5, 5),
        ("also without a scaler", None, None, 5, 5, 5),
        ("a new endpoint has one replica", None, None, None, 1, 1),
        ("or the fewest that its scaler may have", DRY_RUN, None, None, 2, 2),
        ("nothing is a size as well", OFF, None, 0, 0, 0),
        ("a Deployment without a count is like a new one", OFF, None, -1, 2, 2),
    ],
)
def test_one_says_how_many(
    what: str,
    scaling: dict[str, Any] | None,
    replicas: int | None,
    running: int | None,
    count: int,
    write: SpecReplicas,
) -> None:
    assert decided(scaling, replicas, running) == (count, write)
