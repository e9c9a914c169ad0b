"""W3C Trace Context of a record: by it an alert belongs to the trace of the event that raised it.

    trace_of([("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")])

A context that breaks the grammar of https://www.w3.org/TR/trace-context/ is as if it were not there.
"""

import re
from collections.abc import Sequence
from typing import Final

PARENT: Final = "traceparent"
STATE: Final = "tracestate"
TRACE_HEADERS: Final[dict[str, str]] = {
    PARENT: "W3C trace context: version, trace id, parent id and flags.",
    STATE: "What tracing systems add to it; only beside a `traceparent`.",
}
STATE_BYTES: Final = 512
"""As much as everybody is asked to pass on; a longer one is dropped."""
STATE_MEMBERS: Final = 32
SAMPLED: Final = 1

Trace = tuple[tuple[str, bytes], ...]
"""Headers of a context as Kafka has them; empty without one."""

_PARENT: Final = re.compile(rb"([0-9a-f]{2})(-([0-9a-f]{32})-([0-9a-f]{16})-)([0-9a-f]{2})(-.*)?", re.DOTALL)
_MEMBER: Final = re.compile(
    rb"[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)


def trace_of(headers: Sequence[tuple[str, bytes | None]], attribute: str | None = None) -> Trace:
    """Return the context in a record's headers, else in `attribute`, which its event has; empty without any.

    Of headers with the same name the last one counts, as for clients of Kafka. A `tracestate` belongs to the
    header beside it, never to the attribute.
    """
    if not headers and not attribute:  # as of most records
        return ()
    found = dict(headers)
    parent = _parent(found.get(PARENT) or b"")
    if parent is None:
        parent = _parent((attribute or "").encode("ascii", "replace"))
        return () if parent is None else ((PARENT, parent),)
    state = found.get(STATE) or b""
    return ((PARENT, parent), (STATE, state)) if _is_state(state) else ((PARENT, parent),)


def _parent(text: bytes) -> bytes | None:
    """Return a valid `traceparent`; one of a later version as far as version 00 knows it."""
    found = _PARENT.fullmatch(text)
    if found is None:
        return None
    version, ids, trace_id, parent_id, flags, more = found.groups()
    if version == b"ff" or not trace_id.strip(b"0") or not parent_id.strip(b"0"):
        return None
    if version != b"00":
        return b"00%b0%d" % (ids, int(flags, 16) & SAMPLED)
    return None if more else text


def _is_state(text: bytes) -> bool:
    members = [each for each in (part.strip(b" \t") for part in text.split(b",")) if each]
    return (
        len(text) <= STATE_BYTES
        and 0 < len(members) <= STATE_MEMBERS
        and all(_MEMBER.fullmatch(each) for each in members)
    )
