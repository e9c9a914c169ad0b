"""An event goes to the topic of its channel, an action to the topic of actions."""

import pytest

from schemas.fields import CHANNELS
from schemas.touchpoints import TYPES
from streams.routing import topic_for
from streams.topics import ACTIONS, STORE, SUPPORT, WEB, Topic


@pytest.mark.parametrize(
    ("touchpoint_type", "channel", "topic"),
    [
        ("cx.order.placed.v1", "web", WEB),
        ("cx.order.placed.v1", "app", WEB),
        ("cx.order.placed.v1", "store", STORE),
        ("cx.order.placed.v1", "phone", SUPPORT),
        ("cx.delivery.failed.v1", "product", WEB),
        ("cx.complaint.raised.v1", "store", STORE),
        ("cx.survey.answered.v1", "email", SUPPORT),
        ("cx.survey.answered.v1", "other", WEB),
        ("cx.social.mentioned.v1", "social", WEB),
        ("cx.review.posted.v1", "review", WEB),
    ],
)
def test_a_given_channel_decides(touchpoint_type: str, channel: str, topic: Topic):
    """A touchpoint follows the channel that its event names."""
    assert topic_for(touchpoint_type, channel) is topic


@pytest.mark.parametrize(
    ("touchpoint_type", "topic"),
    [
        ("cx.page.viewed.v1", WEB),
        ("cx.order.placed.v1", WEB),
        ("cx.queue.waited.v1", STORE),
        ("cx.call.ended.v1", SUPPORT),
        ("cx.help.searched.v1", SUPPORT),
        ("nonsense", WEB),
        ("", WEB),
    ],
)
@pytest.mark.parametrize("channel", [None, "carrier pigeon"])
def test_without_a_known_channel_the_type_decides(touchpoint_type: str, channel: str | None, topic: Topic):
    """An event without a channel, or with one nobody knows, follows the family of its type."""
    assert topic_for(touchpoint_type, channel) is topic


@pytest.mark.parametrize(
    "touchpoint_type",
    ["cx.alert.closed.v1", "cx.action.taken.v1", "cx.outcome.recorded.v1", "cx.message.unsubscribed.v1"],
)
@pytest.mark.parametrize("channel", [None, "web", "store", "phone"])
def test_actions_have_their_own_topic(touchpoint_type: str, channel: str | None):
    """What the retention team does goes to the topic of actions, whatever its channel."""
    assert topic_for(touchpoint_type, channel) is ACTIONS


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_type_of_the_contract_has_its_topic(name: str):
    """Without a channel, every type goes to the topic that the contract's table names for it."""
    expected = {"web": WEB, "store": STORE, "support": SUPPORT, "actions": ACTIONS}[TYPES[name].family]
    assert topic_for(name, None) is expected


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_channel_of_the_contract_decides(channel: str):
    """Two types of different families meet on one topic when their events name the same channel."""
    assert topic_for("cx.order.placed.v1", channel) is topic_for("cx.call.ended.v1", channel)
