"""Alerts as cases: their ids, and their steps as documents.

Documents are dicts with the fields of `schemas.outputs`, which a test holds them to.
"""

from hashlib import blake2b
from typing import Final

import orjson

from schemas.times import at_time
from streams.scoring.alerttexts import AlertTexts, Said
from streams.scoring.apply import Scorer
from streams.scoring.episodes import Decision
from streams.scoring.explain import Document, assess_at
from streams.scoring.reasons import reason_of
from streams.scoring.state import CustomerState
from streams.scoring.vocabulary import RULE_LABELS, SEVERITIES, Rule

FILE_GENERATION: Final = "file"
"""The generation of alert ids that were made from a file, without a changelog."""
_ID: Final = blake2b(digest_size=12)


def alert_id(generation: str, customer_id: str, rule: Rule, number: int) -> str:
    """Return the id of an episode: the same in every run on the same log."""
    digest = _ID.copy()
    digest.update(f"{generation}\x00{customer_id}\x00{RULE_LABELS[rule]}\x00{number}".encode())
    return digest.hexdigest()


def alert_step(scorer: Scorer, customer_id: str, state: CustomerState, decision: Decision) -> Document:
    """Return one step of an alert as `cx score --json` lists it, with the generation `file`."""
    found = assess_at(scorer, state, decision.glance)
    return {
        "alert_id": alert_id(FILE_GENERATION, customer_id, decision.rule, decision.number),
        "rule": RULE_LABELS[decision.rule],
        "episode": decision.number,
        "step": decision.step,
        "at": at_time(found.at_s),
        "severity": SEVERITIES[decision.severity],
        "reason": reason_of(scorer, state, decision, found),
        "drivers": found.drivers,
    }


def alert_document(
    scorer: Scorer,
    customer_id: str,
    state: CustomerState,
    decision: Decision,
    *,
    generation: str,
    announced: bool,
    link_template: str = "",
) -> Document:
    """Return the `ChurnAlert` of one step, read from the row as it was when the step was decided."""
    key = alert_id(generation, customer_id, decision.rule, decision.number)
    texts = AlertTexts(scorer, link_template)
    text = texts.text(key, customer_id, state, decision, Said(announced=announced))
    document: Document = orjson.loads(text)
    return document
