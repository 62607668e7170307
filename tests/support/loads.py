"""What became of a load's requests: none may be lost, and there have to be enough of them for that to say something."""

import json
from typing import Any

from localcluster.product import LOST, Load
from support.kube import eventually


def all_complete(load: Load, at_least: int, *, seconds: float = 120.0, hammer: bool = False) -> dict[str, Any]:
    """The result of a load that ends.

    Args:
        at_least: how many have to be complete.
        seconds: until it has ended.
        hammer: whether its short connections are looked at as well.
    """
    result = load.result(seconds)
    print(json.dumps(result))
    for part in ("streams", "hammer") if hammer else ("streams",):
        assert [result[part][lost] for lost in LOST] == [0, 0, 0], result
        assert result[part]["complete"] >= at_least, result
    return result


def stopped(load: Load, at_least: int, *, hammer: bool = False) -> dict[str, Any]:
    """The result of a load that is stopped once so many streams are complete: all else may be over before they are."""
    eventually(lambda: any(line["streams"]["complete"] >= at_least for line in load.lines()), 60)
    load.stop()
    return all_complete(load, at_least, hammer=hammer)
