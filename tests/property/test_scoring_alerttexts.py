"""An alert's step on any life: its bytes are those of a document that keeps the contract."""

from typing import Any

import msgspec
import orjson
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Touchpoint, time_s
from schemas.outputs import ChurnAlert, Snapshot
from streams.scoring.alerttexts import AlertTexts, Said
from streams.scoring.apply import Scorer
from streams.scoring.churn import sigmoid
from streams.scoring.episodes import Decision
from streams.scoring.explain import assess_at, score_document
from streams.scoring.reasons import reason_of
from streams.scoring.state import CustomerState
from tests.customers import DAY, event, scorer, then
from tests.lives import days, lives

TOUCHY = {"churn_open": 0.3, "churn_close": 0.2, "drop_open": -2, "drop_close": -1, "lost": 0.2}
POLICIES = [
    scorer(rules=TOUCHY),
    scorer(rules=TOUCHY, churn={"engagement": -0.5, "spend": -0.3, "recency": 0.4}),
    scorer(
        rules=TOUCHY,
        churn={"calibration": {"kind": "isotonic", "x": [[0.0]] * 3, "y": [[-1.0], [2.0], [1.0]]}},
    ),
]
STRANGE = 'Zoë, "the" \U0001f98a\n'
SNAPSHOT = [field.name for field in msgspec.structs.fields(Snapshot)]


@given(lives(last=300), st.sampled_from(POLICIES), days(0, 400), st.text())
def test_the_text_is_that_of_a_document(life: list[Touchpoint], under: Scorer, later: float, said: str):
    """It reads back to the very bytes, keys in order, and says of the customer what their score says."""
    state = under.new(min(map(time_s, life)))
    for each in sorted(life, key=time_s):
        for decision in then(state, each, under):
            _check(under, state, decision, said)
    at_s = state.newest_s + later * DAY
    for decision in under.rules.evaluate_silence(state, at_s, absence_until_s=at_s):
        _check(under, state, decision, said)


def _check(under: Scorer, state: CustomerState, decision: Decision, said: str) -> None:
    text = AlertTexts(under).text("1f", said, state, decision, Said(announced=True, by=said, note=said))
    document: dict[str, Any] = orjson.loads(text)
    assert text == orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    msgspec.convert(document, ChurnAlert, strict=True)
    score = score_document(under, said, state, assess_at(under, state, decision.glance))
    assert {name: document[name] for name in SNAPSHOT} == {name: score[name] for name in SNAPSHOT}
    assert [each["probability"] for each in document["churn_by_horizon"]] == _risks(under, state, decision)
    assert document["reason"] == reason_of(under, state, decision, assess_at(under, state, decision.glance))


def _risks(under: Scorer, state: CustomerState, decision: Decision) -> list[float]:
    """Return the risk at each horizon, each worked out for itself."""
    glance = decision.glance
    logits = [under.churn.logit(state, glance.at_s, glance.terms, index) for index in range(3)]
    return [sigmoid(logit) for logit in logits if logit is not None]


def test_strange_words_are_quoted():
    """Whoever the customer is, and whatever people, profiles and sources say, stays a string of JSON."""
    under, said = POLICIES[0], STRANGE
    profile = dict.fromkeys(("segment", "tier", "owner"), said)
    life = [
        event("order.placed", 0),
        event("customer.updated", 1, contact_by=["email", "phone"], **profile),
        msgspec.structs.replace(event("delivery.failed", 2), source=said, id=said),
    ]
    state = under.new(time_s(life[0]))
    for each in life:
        under.apply(state, each, time_s(each), 0)
    (decision, *_) = under.rules.evaluate(state, state.newest_s, absence_until_s=state.newest_s)

    texts = AlertTexts(under, "https://x/{customer_id}")
    text = texts.text("1f", said, state, decision, Said(by=said, note=said, folded_into=said), holdout=True)
    document = orjson.loads(text)
    assert text == orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    names = ("customer_id", "by", "note", "folded_into", *profile)
    assert {name: document[name] for name in names} == dict.fromkeys(names, said)
    assert document["holdout"] is True
    assert document["allowed_contact"] == ["email", "phone"]
