"""What all tests share: Hypothesis without luck or clocks, and the options."""

import pytest
from hypothesis import HealthCheck, Phase, settings

settings.register_profile(
    "default",
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden with what is rendered now")
    parser.addoption("--fuzz-objects", default=300, help="objects that tests/fuzz sends to the API server")
    parser.addoption("--fuzz-seed", default=1, help="where its generator begins")
    parser.addoption("--chaos-kills", default=8, help="how often tests/chaos kills the operator")
    parser.addoption("--chaos-away", default=20, help="for how many seconds it takes parts of the control plane away")
    parser.addoption("--chaos-seed", default=1, help="where its chance begins")
    parser.addoption("--batch-lines", default=20_000, help="lines that tests/batch asks while workers are killed")
