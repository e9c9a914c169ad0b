"""Reject reasons are a closed set, and each says what it means and what to do."""

from schemas.rejects import DEAD_LETTER_HEADERS, REASONS, Reject, RejectReason, dead_letter_headers, reject


def test_the_set_is_closed():
    """The reasons are those of the contract, word for word."""
    assert [reason.value for reason in RejectReason] == [
        "not_json",
        "schema_violation",
        "unknown_type",
        "unsupported_version",
        "key_missing",
        "key_mismatch",
        "too_large",
        "clock_future",
        "clock_ancient",
        "capacity",
        "reserved_key",
        "forget_key",
    ]


def test_each_reason_has_meaning_and_mend():
    """Every reason has one line of meaning and one of mend, for the docs and for the publisher."""
    assert list(REASONS) == list(RejectReason)
    for info in REASONS.values():
        for text in (info.meaning, info.mend):
            assert text.endswith(".")
            assert "\n" not in text


def test_detail_is_one_line():
    """The detail tells reason, path, type seen and mend in one line."""
    found = Reject(RejectReason.SCHEMA_VIOLATION, "$.data.score", "string", "Send a number.")

    assert found.detail == "schema_violation at $.data.score: saw string. Send a number."


def test_default_mend():
    """A reject without a mend of its own carries its reason's."""
    assert reject(RejectReason.CAPACITY, "$", "a full partition").mend == REASONS[RejectReason.CAPACITY].mend


def test_dead_letter_headers():
    """A dead letter says why it is one and where it came from, in the headers of the table."""
    found = Reject(RejectReason.TOO_LARGE, "$", "300000 bytes", "Send less.")
    headers = dead_letter_headers(found, topic="in", partition=3, offset=71, timestamp_ms=1_777_000_000_000)

    assert [name for name, _ in headers] == list(DEAD_LETTER_HEADERS)
    assert dict(headers) == {
        "cx-reason": b"too_large",
        "cx-detail": b"too_large at $: saw 300000 bytes. Send less.",
        "cx-topic": b"in",
        "cx-partition": b"3",
        "cx-offset": b"71",
        "cx-timestamp": b"1777000000000",
    }
