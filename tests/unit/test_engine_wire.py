"""Questions about topics, without a broker."""

from types import SimpleNamespace
from typing import Any

import pytest

from streams.engine import wire
from streams.engine.wire import TopicInfo, TopicsRequest, describe


class Nodes:
    """A client of nodes that answer in turn: each with the topics that it has heard of."""

    def __init__(self, *known: tuple[str, ...]) -> None:
        self.known = list(known)

    def get_random_node(self) -> int:
        """Return the node that comes next."""
        return 0

    async def send(self, node: int, request: TopicsRequest) -> SimpleNamespace:
        """Return what that node knows."""
        assert node == 0
        assert request is not None
        topics: list[dict[str, Any]] = [
            {"error_code": 0, "name": name, "topic_id": b"", "partitions": [{}] * 4}
            for name in self.known.pop(0)
        ]
        return SimpleNamespace(to_object=lambda: {"topics": topics})


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "POLL_S", 0.0)


async def test_a_topic_that_a_node_has_not_heard_of_yet_is_asked_for_again():
    """A node that is behind says that a new topic is missing; the next one knows it."""
    nodes = Nodes((), ("a",), ("a", "b"), ())
    found = await describe(SimpleNamespace(_client=nodes), ("a", "b"), wait_s=60.0)
    assert found == {"a": TopicInfo(4, ""), "b": TopicInfo(4, "")}
    assert nodes.known == [()]


async def test_what_is_missing_is_not_waited_for_without_end():
    """Without a wait one question is all; with one it ends."""
    nodes = Nodes(("a",), ("a", "b"))
    assert await describe(SimpleNamespace(_client=nodes), ("a", "b")) == {"a": TopicInfo(4, "")}
    assert nodes.known == [("a", "b")]
    never = Nodes(*[("a",)] * 100_000)
    assert await describe(SimpleNamespace(_client=never), ("a", "b"), wait_s=0.02) == {"a": TopicInfo(4, "")}
