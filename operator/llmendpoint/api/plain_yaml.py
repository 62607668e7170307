"""YAML as a person would write it: keys in the given order, programs line by line, and no anchors for equal parts."""

from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _data: Any) -> bool:
        """Write equal parts out in full."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def dump(body: Any) -> str:
    """One document, without a separator."""
    text: str = yaml.dump(body, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)
    return text
