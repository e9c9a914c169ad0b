"""What a receiver is sent: the alert as it was published, or a message for Slack."""

from typing import Any, Final

import orjson

from schemas.outputs import OVER
from schemas.times import at_time
from streams.delivery.alert import Alert

PREFIX: Final = "cx.alert."
TEST_TYPE: Final = "cx.test"
SLACK_TEXT: Final = 3000
"""Slack refuses a section whose text is longer."""
SLACK_HEADER: Final = 150
SIGNS: Final = {
    "critical": ":red_circle:",
    "high": ":large_orange_circle:",
    "medium": ":large_yellow_circle:",
}
IN_HAND: Final = OVER | {"acknowledged", "snoozed"}
"""After such a step nobody needs to be told of what went before, or what to do."""
SLACK_ESCAPES: Final = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))


def body_of(form: str, alert: Alert, value: bytes) -> bytes:
    """Return the body of a step for an endpoint of the format `form`; `value` is the record's."""
    if form == "slack":
        return orjson.dumps(_slack(alert))
    return _enveloped(PREFIX + alert.step, alert.at, value)


def ping_body(form: str, now_s: float) -> bytes:
    """Return the body of a test message."""
    if form == "slack":
        return orjson.dumps({"text": "A test message of cx deliver: alerts will arrive here."})
    return _enveloped(TEST_TYPE, at_time(now_s), orjson.dumps({"message": "A test message of cx deliver."}))


def _enveloped(kind: str, at: str, data: bytes) -> bytes:
    """Return the envelope of Standard Webhooks; `data` is put in byte for byte."""
    head = orjson.dumps({"type": kind, "timestamp": at})
    return head[:-1] + b',"data":' + data + b"}"


def _slack(alert: Alert) -> dict[str, Any]:
    sign = SIGNS.get(alert.severity, ":white_circle:")
    title = f"{alert.rule.replace('_', ' ').capitalize()}: {alert.severity}"
    if alert.step != "announced":
        title += f" ({alert.step})"
    advice = [f"• {each}" for each in alert.do] + [f"• _{each}_" for each in alert.do_not]
    if alert.step in IN_HAND:
        advice = []
    lines = [f"*{_escaped(alert.customer_id)}*", *map(_escaped, (alert.reason, *advice))]
    text = "\n".join(lines)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": f"{sign} {title}"[:SLACK_HEADER]}},
        {"type": "section", "text": {"type": "mrkdwn", "text": text[:SLACK_TEXT]}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": _facts(alert)[:SLACK_TEXT]}]},
    ]
    if alert.link and alert.link.startswith(("https://", "http://")) and len(alert.link) <= SLACK_TEXT:
        button = {
            "type": "button",
            "text": {"type": "plain_text", "text": "Open customer"},
            "url": alert.link,
        }
        blocks.append({"type": "actions", "elements": [button]})
    # Shown in notifications, and where blocks are not.
    return {"text": f"{title}: {_escaped(alert.reason)}", "blocks": blocks}


def _facts(alert: Alert) -> str:
    risk = alert.churn_probability
    facts = {
        f"risk in {alert.horizon_days} days": None if risk is None else f"{risk:.0%}",
        "experience": None if alert.experience is None else f"{alert.experience:.0f} of 100",
        "segment": alert.segment,
        "tier": alert.tier,
        "owner": alert.owner,
        "cause": alert.cause_owner,
        "expected by": alert.expected_by and alert.expected_by[:10],
        "act by": alert.act_by and alert.act_by[:16].replace("T", " ") + " UTC",
        "contact by": alert.allowed_contact and ", ".join(alert.allowed_contact),
        "alert": alert.alert_id,
    }
    return "  |  ".join(f"{name}: {_escaped(text)}" for name, text in facts.items() if text)


def _escaped(text: str) -> str:
    """Return text in which Slack sees no link and no mention, such as <!channel>."""
    for char, entity in SLACK_ESCAPES:
        text = text.replace(char, entity)
    return text
