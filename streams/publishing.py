"""When a score goes out on `cx.scores`: when it moved, changed its band, or is a day old."""

from typing import Final

from streams.engine.handler import Output
from streams.scoring.apply import Scorer
from streams.scoring.explain import assess_at
from streams.scoring.rules import Glance
from streams.scoring.state import CustomerState, Published
from streams.scoring.texts import Score, score_texts

_output: Final = Output  # compiled code looks up each import by its name, a constant not


def due(scorer: Scorer, state: CustomerState, glance: Glance) -> Published | None:
    """Return what to remember as published if the score is to be published now, else None."""
    mu = scorer.ledger.mu
    last = state.published
    at_s, score, coverage = glance.at_s, glance.score, glance.coverage
    service = scorer.ledger.service_score(state, at_s)
    if last is None:
        moved = max(abs(score - mu), abs(service - mu)) >= scorer.min_move
        is_due = moved or coverage >= scorer.told_coverage
    else:
        moved = max(abs(score - last.experience), abs(service - last.service)) >= scorer.min_move
        old = at_s - last.at_s >= scorer.told_again_s and coverage >= scorer.told_coverage
        is_due = moved or old or glance.band != last.band
    return Published(score, service, glance.band, at_s) if is_due else None


def publish(scorer: Scorer, states: dict[bytes, CustomerState], topic: str) -> list[Output]:
    """Return the scores to publish of some customers, remembered in their states.

    Figures that were read before a state's newest event are not used. All are read before the first is
    written (decision 0025).
    """
    scores: list[Score] = []
    for key, state in states.items():
        glance = state.glance
        if glance is None or glance.at_s < state.newest_s:  # only neutral acts came since
            glance = scorer.rules.glance(state, state.newest_s)
        published = due(scorer, state, glance)
        if published is not None:
            state.published = published
            scores.append((key, state, assess_at(scorer, state, glance)))
    texts = score_texts(scorer, scores)
    return [_output(topic, score[0], texts[place]) for place, score in enumerate(scores)]
