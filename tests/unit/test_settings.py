"""The operator's settings: what does not go together is refused with a sentence that names the variable."""

import pytest
from pydantic import ValidationError

from llmendpoint.settings import Settings


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("LEASE_DURATION_SECONDS", "2", "greater than or equal to 3"),
        ("LEASE_RENEW_DEADLINE_SECONDS", "9.5", "at most 0.9 times LLMENDPOINT_LEASE_DURATION_SECONDS, 9"),
        ("LEASE_RETRY_SECONDS", "2.5", "at most a quarter of LLMENDPOINT_LEASE_RENEW_DEADLINE_SECONDS, 2"),
        ("LEASE_RETRY_SECONDS", "0", "greater than 0"),
    ],
)
def test_times_that_do_not_go_together_are_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(f"LLMENDPOINT_{variable}", value)
    with pytest.raises(ValidationError, match=sentence) as refused:
        Settings()
    assert str(refused.value.errors()[0]["loc"][0]).upper() == variable
