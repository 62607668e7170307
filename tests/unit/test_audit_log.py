"""Audit logs that grow while they are read."""

from pathlib import Path

from localcluster.auditlog import read


def test_a_log_is_read_on_from_where_reading_ended(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text('{"verb": "get"}\n{"verb": "li')
    events, end = read(log)
    assert (events, end) == ([{"verb": "get"}], 16)
    log.write_text('{"verb": "get"}\n{"verb": "list"}\n')
    assert read(log, end) == ([{"verb": "list"}], 33)
