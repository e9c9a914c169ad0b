"""An event goes to the topic of its channel, an action to the topic of actions."""

import pytest

from streams.routing import topic_for
from streams.topics import ACTIONS, STORE, SUPPORT, WEB, Topic


@pytest.mark.parametrize(
    ("touchpoint_type", "channel", "topic"),
    [
        ("cx.order.placed.v1", "web", WEB),
        ("cx.order.placed.v1", "app", WEB),
        ("cx.order.placed.v1", "store", STORE),
        ("cx.complaint.raised.v1", "phone", SUPPORT),
        ("cx.survey.answered.v1", "email", SUPPORT),
        ("cx.survey.answered.v1", "sms", SUPPORT),
        ("cx.chat.ended.v1", "chat", SUPPORT),
        ("cx.ivr.ended.v1", "ivr", SUPPORT),
        ("cx.social.mentioned.v1", "social", WEB),
        ("cx.review.posted.v1", "review", WEB),
        ("cx.error.shown.v1", "product", WEB),
        ("cx.promise.made.v1", "other", WEB),
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
        ("cx.stockout.hit.v1", STORE),
        ("cx.call.ended.v1", SUPPORT),
        ("cx.ticket.solved.v1", SUPPORT),
        ("cx.help.searched.v1", SUPPORT),
        ("nonsense", WEB),
        ("", WEB),
    ],
)
@pytest.mark.parametrize("channel", [None, "carrier pigeon"])
def test_without_a_known_channel_the_type_decides(touchpoint_type: str, channel: str | None, topic: Topic):
    """An event without a channel, or with one nobody knows, follows the object of its type."""
    assert topic_for(touchpoint_type, channel) is topic


@pytest.mark.parametrize(
    "touchpoint_type",
    ["cx.alert.closed.v1", "cx.action.taken.v1", "cx.outcome.recorded.v1", "cx.message.unsubscribed.v1"],
)
@pytest.mark.parametrize("channel", [None, "web", "store", "phone"])
def test_actions_have_their_own_topic(touchpoint_type: str, channel: str | None):
    """What the retention team does goes to the topic of actions, whatever its channel."""
    assert topic_for(touchpoint_type, channel) is ACTIONS
