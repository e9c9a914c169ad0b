"""The one rule that says which topic a touchpoint belongs on."""

from functools import lru_cache

from streams.topics import ACTIONS, STORE, SUPPORT, WEB, Topic

_BY_CHANNEL = {
    **dict.fromkeys(("web", "app", "social", "review", "product", "other"), WEB),
    "store": STORE,
    **dict.fromkeys(("phone", "ivr", "email", "chat", "sms"), SUPPORT),
}
_BY_OBJECT = {
    **dict.fromkeys(("store", "queue", "visit", "stockout"), STORE),
    **dict.fromkeys(("call", "ticket", "chat", "bot", "ivr", "help"), SUPPORT),
}
_ACTION_OBJECTS = frozenset({"alert", "action", "outcome", "message"})


@lru_cache(maxsize=4096)  # types and channels come from producers: the cache stays bounded
def topic_for(touchpoint_type: str, channel: str | None) -> Topic:
    """Return the input topic of an event of `touchpoint_type` (`cx.<object>.<past tense>.v<major>`).

    What the retention team does goes to `cx.actions` whatever its channel; any other event follows
    its channel and, without a known one, the object of its type. An event that fits nowhere goes to
    the web topic, where it is judged like any other.
    """
    parts = touchpoint_type.split(".", 2)
    subject_matter = parts[1] if len(parts) > 1 else ""
    if subject_matter in _ACTION_OBJECTS:
        return ACTIONS
    by_object = _BY_OBJECT.get(subject_matter, WEB)
    return _BY_CHANNEL.get(channel, by_object) if channel else by_object
