"""The one rule that says which topic a touchpoint belongs on."""

from functools import lru_cache
from typing import Final

from schemas.touchpoints import TYPES, Family
from streams.topics import ACTIONS, STORE, SUPPORT, WEB, Topic

_TOPICS: Final[dict[Family, Topic]] = {"web": WEB, "store": STORE, "support": SUPPORT, "actions": ACTIONS}
_BY_CHANNEL: Final[dict[str | None, Family]] = {
    **dict.fromkeys(("web", "app", "social", "review", "product", "other"), "web"),
    "store": "store",
    **dict.fromkeys(("phone", "ivr", "email", "chat", "sms"), "support"),
}


@lru_cache(maxsize=4096)  # types and channels come from producers: the cache stays bounded
def topic_for(touchpoint_type: str, channel: str | None) -> Topic:
    """Return the input topic of an event of `touchpoint_type` that happened on `channel`.

    What the retention team does goes to `cx.actions` whatever its channel; any other event follows its
    channel and, without a known one, the family of its type. An event that fits nowhere goes to the web
    topic, where it is judged like any other.
    """
    info = TYPES.get(touchpoint_type)
    family: Family = info.family if info else "web"
    return _TOPICS[family if family == "actions" else _BY_CHANNEL.get(channel, family)]
