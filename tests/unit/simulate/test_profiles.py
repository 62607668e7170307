"""Engine profiles: those of the package, a file of the user's, and what is said of a wrong one."""

from pathlib import Path

import pytest

from llmendpoint.simulate.profiles import UnknownProfile, load_profile, profile_names

OWN = """
gpus: 2
alphaMilliseconds: 20
betaMilliseconds: {value: 0.1, source: measured on our cluster}
gammaMilliseconds: 0.2
maxNumSeqs: 64
maxNumBatchedTokens: 4096
kvTokens: 100000
"""


@pytest.mark.parametrize("name", profile_names())
def test_each_profile_of_the_package_is_whole(name: str) -> None:
    profile = load_profile(name)
    assert profile.description
    assert 0 < profile.beta < profile.alpha < 0.1
    assert profile.kv_blocks * 16 <= profile.kv_tokens


def test_the_profiles_that_others_name_are_there() -> None:
    assert {
        "a10g-llama-8b", "l4-llama-8b", "l40s-llama-8b", "a100-llama-8b", "h100-llama-8b", "4xh100-llama-70b",
    } <= set(profile_names())  # fmt: skip


def test_a_file_of_the_users_needs_no_sources(tmp_path: Path) -> None:
    path = tmp_path / "ours.yaml"
    path.write_text(OWN)
    profile = load_profile(str(path))
    assert (profile.name, profile.gpus, profile.alpha, profile.beta) == ("ours", 2, 0.02, 0.0001)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (OWN.replace("gpus: 2", ""), "gpus: Field required"),
        (OWN.replace("20", "-1"), "alphaMilliseconds: Input should be greater than"),
        (OWN + "speed: 3", "speed: Extra inputs are not permitted"),
        ("[]", "the file: Input should be"),
        ("{", "can not be read"),
    ],
)
def test_a_wrong_file_is_reported_with_the_field(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "ours.yaml"
    path.write_text(text)
    with pytest.raises(UnknownProfile) as refused:
        load_profile(str(path))
    assert sentence in str(refused.value)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownProfile, match=r"give one of 4xh100-llama-70b, a100-llama-8b, .* or a YAML file"):
        load_profile("b200")
