"""Rows as version 2 wrote them, for tests that they are still read."""

from typing import Any

import msgspec

from streams.scoring.entry import Case
from streams.scoring.state import CustomerState, Episode, Mass
from tests.customers import by_key

SUMS = ("q_plain", "q_routine", "q_service", "q_served", "w_experience", "w_service", "a_recent", "q_recent")


def version_2(state: CustomerState) -> list[Any]:
    """Return the fields of a row of version 2."""
    rhythm, last, published, cause = state.rhythm, state.last, state.published, state.cause
    counted = rhythm and (rhythm.first_day, rhythm.last_day, rhythm.repeats, rhythm.days)
    return [
        2,
        *(state.baked, state.ref_s, state.newest_s, state.events, by_key(state.points), _mass(state.mass)),
        {
            place: (peak.code, peak.m, peak.at_s, peak.event)
            for place, peak in enumerate(state.peaks)
            if peak is not None
        },
        rhythm and (*counted, list(rhythm.counts), rhythm.months, rhythm.spend),
        by_key(state.intents),
        last and (last.key, last.at_s, last.a, last.source, last.id),
        state.rings,
        {rule: _episode(each) for rule, each in state.episodes.items()},
        published and (published.experience, published.service, published.band, published.at_s),
        *(state.profile, state.told_s, state.lost_day),
        {name: _case(each) for name, each in state.cases.items()},
        *(state.failing, state.deadline_s),
        cause and (cause.at_s, cause.source, cause.id),
        *(state.outreach, state.crowded),
    ]


def _mass(mass: Mass) -> dict[int, float]:
    found = {number: getattr(mass, name) for number, name in enumerate(SUMS)}
    return {number: amount for number, amount in found.items() if amount}


def _episode(of: Episode) -> tuple[Any, ...]:
    return (
        *(of.number, of.opened_s, of.closed_s, of.cause, of.severity, of.last_day, of.told, of.told_s),
        *(of.acknowledged_s, of.snoozed_until_s, of.outcome, of.inferred, of.risk, of.retired),
    )


def _case(of: Case) -> tuple[Any, ...]:
    return (
        *(of.kind, of.facts, of.issue, of.at_s, of.key, of.weight, of.since_s, of.until_s, of.mended_s),
        *(of.credit, of.in_time, of.pending_s, of.settled, of.unanswered),
    )


def packed(fields: Any) -> bytes:
    """Return msgpack."""
    return msgspec.msgpack.encode(fields)
