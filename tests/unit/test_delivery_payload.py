"""What a receiver gets: the alert as it was published, or a message that Slack shows well."""

import hashlib

import msgspec
import orjson
import pytest

from streams.delivery.alert import decode, message_id
from streams.delivery.payload import body_of, ping_body
from tests.delivering import NOON, alert_bytes, alert_document, an_alert


def test_json_carries_the_alert_as_it_was_published():
    """The envelope of Standard Webhooks around every field of the alert, also those read by nobody here."""
    body = orjson.loads(body_of("json", an_alert(), alert_bytes()))
    assert body == {
        "type": "cx.alert.announced",
        "timestamp": "2026-09-21T12:00:00Z",
        "data": alert_document(),
    }


def test_an_id_belongs_to_one_step():
    """Equal steps have equal ids in every process; another time, severity, step or alert has another."""
    ids = {
        message_id(an_alert(**change))
        for change in (
            {},
            {"reason": "Said otherwise."},
            {"at": "2026-09-22T12:00:00Z"},
            {"severity": "critical"},
            {"step": "resolved"},
            {"alert_id": "a2"},
        )
    }
    assert len(ids) == 5
    text = b"a1\x00announced\x00high\x002026-09-21T12:00:00Z"
    assert "msg_" + hashlib.blake2b(text, digest_size=15).hexdigest() in ids


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"{}", b'{"alert_id": 1}'])
def test_what_is_no_alert_is_told(value: bytes):
    """A record that cannot be read is an error that the desk makes a dead letter of."""
    with pytest.raises(msgspec.MsgspecError):
        decode(value)


def test_slack_shows_who_why_and_what_is_known():
    """Title, customer, reason and facts; no button without a link."""
    body = orjson.loads(body_of("slack", an_alert(segment="gold", expected_by="2026-10-01T00:00:00Z"), b""))
    header, section, context = body["blocks"]
    assert header["text"]["text"] == ":large_orange_circle: Churn risk: high"
    assert section["text"]["text"].startswith("*anna*\nChurn risk within 90 days is 81%")
    facts = context["elements"][0]["text"]
    assert "risk in 90 days: 81%  |  experience: 31 of 100  |  segment: gold" in facts
    assert "expected by: 2026-10-01" in facts
    assert body["text"].startswith("Churn risk: high: Churn risk within")


def test_slack_says_what_to_do_while_there_is_something_to_do():
    """The playbook, by when and on which channel; no advice once the alert is over."""
    case = {
        "do": ["Call & say sorry"],
        "do_not": ["Do not send an offer"],
        "act_by": "2026-09-22T12:00:00Z",
        "allowed_contact": ["phone", "email"],
    }
    _, section, context = orjson.loads(body_of("slack", an_alert(**case), b""))["blocks"]
    assert section["text"]["text"].endswith("\n• Call &amp; say sorry\n• _Do not send an offer_")
    assert "act by: 2026-09-22 12:00 UTC  |  contact by: phone, email" in context["elements"][0]["text"]
    over = orjson.loads(body_of("slack", an_alert(**case, step="resolved"), b""))["blocks"][1]
    assert "offer" not in over["text"]["text"]


def test_slack_has_a_button_to_the_customer():
    """The link of the alert, if it is one that a browser opens, and short enough for Slack."""
    link = "https://crm.example/anna"
    with_link = orjson.loads(body_of("slack", an_alert(link=link), b""))
    assert with_link["blocks"][-1]["elements"][0]["url"] == link
    for other in ("javascript:alert(1)", "https://crm.example/" + "a" * 3000):
        assert len(orjson.loads(body_of("slack", an_alert(link=other), b""))["blocks"]) == 3


def test_nobody_is_called_by_a_customers_id():
    """What a producer sent cannot call a channel or draw a link."""
    body = body_of("slack", an_alert(customer_id="<!channel> & <https://evil|here>"), b"").decode()
    assert "<!channel>" not in body
    assert "&lt;!channel&gt; &amp; &lt;https://evil|here&gt;" in body


def test_slack_gets_no_more_than_it_takes():
    """A text longer than Slack's bound is cut, not refused."""
    body = orjson.loads(body_of("slack", an_alert(customer_id="x" * 9000, churn_probability=None), b""))
    assert len(body["blocks"][1]["text"]["text"]) == 3000


def test_a_step_that_is_no_announcement_says_so():
    """A resolved alert is not taken for a new one."""
    body = orjson.loads(body_of("slack", an_alert(step="resolved", severity="low"), b""))
    assert body["blocks"][0]["text"]["text"] == ":white_circle: Churn risk: low (resolved)"


def test_a_test_message_is_known_as_one():
    """Its type is not that of an alert."""
    assert orjson.loads(ping_body("json", NOON))["type"] == "cx.test"
    assert "test message" in orjson.loads(ping_body("slack", NOON))["text"]
