"""What is sent as an apply is read as YAML: every text arrives as it was."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from llmendpoint.cluster.client import apply_body

TEXTS = st.text(max_size=20) | st.sampled_from(
    ["\U0001f600", "\\ud83d\\ude00", "\x7f\x85\u2028\ufeff\uffff", '"\\"\n\t\x00']
)


@given(st.recursive(TEXTS | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_every_text_arrives_as_it_was(value: object) -> None:
    assert yaml.safe_load(apply_body({"value": value})) == {"value": value}
