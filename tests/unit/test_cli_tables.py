"""Tables of commands, as they come through a pipe."""

import pytest

from streams.cli import deadletters


def test_a_pipe_gets_whole_lines(capsys: pytest.CaptureFixture[str]):
    """Where nobody looks no name is broken: what is searched for is found."""
    topic, source = "cx.touchpoints.support", f"/care/{'desk' * 20}"
    found = {"count": 1, "reason": "schema_violation", "topic": topic, "source": source, "last": "2026-05-11"}
    deadletters._print_groups([found])
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split() == ["1", "schema_violation", topic, source, "2026-05-11"]
