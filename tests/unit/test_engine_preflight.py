"""What a worker asks of a cluster before it starts, without a broker."""

import pytest

from streams.engine import preflight
from streams.engine.preflight import _counts_once_known
from streams.engine.wire import TopicInfo


async def test_a_topic_that_a_node_has_not_heard_of_yet_is_asked_for_again(monkeypatch: pytest.MonkeyPatch):
    """A node that is behind says that a new topic is missing; the next one knows it."""
    answers = [{"a": TopicInfo(4, "")}, {"a": TopicInfo(4, ""), "b": TopicInfo(4, "")}]

    async def describe(_: object, topics: tuple[str, ...]) -> dict[str, TopicInfo]:
        assert topics == ("a", "b")
        return answers.pop(0)

    monkeypatch.setattr(preflight, "describe", describe)
    monkeypatch.setattr(preflight, "POLL_S", 0.0)
    assert await _counts_once_known(None, ("a", "b")) == {"a": 4, "b": 4}
    assert answers == []
