"""YAML as a person would write it: keys in the given order, and no anchors where two parts are equal."""

from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _data: Any) -> bool:
        """Write equal parts out in full."""
        return True


def dump(body: Any) -> str:
    """One document, without a separator."""
    text: str = yaml.dump(body, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return text
