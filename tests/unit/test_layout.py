"""What the layout of the repository rests on."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_operator_is_a_source_root_and_no_package() -> None:
    """With an __init__.py it would be imported in place of the standard module of that name."""
    assert not (ROOT / "operator" / "__init__.py").exists()
    import operator

    assert not Path(operator.__file__).is_relative_to(ROOT)
