"""A published score: its bytes are those of its document."""

import math
from collections.abc import Callable
from unittest import mock

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from librt.strings import BytesWriter
from librt.vecs import vec
from mypy_extensions import i64

from schemas.envelope import Touchpoint
from streams.scoring import texts
from streams.scoring.apply import Scorer
from streams.scoring.drivers import Driver, Parts, by_insertion, by_sorting
from streams.scoring.explain import assess, score_document
from streams.scoring.texts import by_a_slice, by_words, churn_drivers_text, drivers_text, score_texts
from tests.customers import DEFAULT, event, row, scorer, seconds
from tests.lives import days, lives

Life = list[Touchpoint]
Copy = Callable[[BytesWriter, bytes, int], int]
Ranked = Callable[..., vec[i64]]
POLICIES = [
    DEFAULT,
    scorer(ledger={"asymmetry": 1.0, "peak_share": 0.0, "prior": 50}),
    scorer(churn={"terms_cap": 0.5, "engagement": -0.5, "spend": -0.3, "recency": 0.4}),
    scorer(churn={"calibration": {"kind": "isotonic", "x": [[0.0]] * 3, "y": [[-1.0], [2.0], [1.0]]}}),
]
LOYAL = [event("order.placed", 15 * n) for n in range(24)]
CODE_OF_NONE = 999
STRANGE = 'Zoë, "the" \U0001f98a\n'


@given(
    st.lists(st.tuples(st.text(), lives()), min_size=1, max_size=3),
    st.sampled_from(POLICIES),
    days(0, 800),
)
def test_the_texts_are_those_of_the_documents(customers: list[tuple[str, Life]], under: Scorer, day: float):
    """Scores are written byte for byte as their documents would be, keys in order, whoever they are of."""
    rows = [(customer_id, row(life, under)) for customer_id, life in customers]
    scores = [(customer_id, state, assess(under, state, seconds(day))) for customer_id, state in rows]
    documents = [score_document(under, *score) for score in scores]

    written = score_texts(under, [(name.encode(), state, found) for name, state, found in scores])
    assert written == [orjson.dumps(document, option=orjson.OPT_SORT_KEYS) for document in documents]


@given(lives(), st.sampled_from(POLICIES), days(0, 800))
def test_the_drivers_of_an_alert_are_those_of_the_document(life: Life, under: Scorer, day: float):
    """A step of an alert has the drivers of the customer's score, and they are written once."""
    found = assess(under, row(life, under), seconds(day))
    assert drivers_text(found) == orjson.dumps(found.drivers)
    assert churn_drivers_text(found) == orjson.dumps(found.churn_drivers)
    assert drivers_text(found) is drivers_text(found), "which is kept"
    assert churn_drivers_text(found) is churn_drivers_text(found)


@given(lives(), st.sampled_from(POLICIES), days(0, 800))
def test_a_score_takes_over_what_an_alert_has_written(life: Life, under: Scorer, day: float):
    """The score of a reading is the same whether a step of an alert has written its drivers before or not."""
    state = row(life, under)
    found, told = (assess(under, state, seconds(day)) for _ in range(2))
    assert drivers_text(told), "which is kept"
    assert churn_drivers_text(told)

    assert score_texts(under, [(b"c", state, told)]) == score_texts(under, [(b"c", state, found)])


@pytest.mark.parametrize("points", [0.0, -0.0, 5e-324, -1e22, 123456.75])
@pytest.mark.parametrize("coverage", [math.nan, math.inf, -0.0])
def test_strange_numbers_and_names_are_written_alike(points: float, coverage: float):
    """What is not finite is null, a dropped driver has its number, and an id of any letters is quoted."""
    state = row([*LOYAL, event("delivery.failed", 346)])
    found = assess(DEFAULT, state, seconds(347))
    found.experience.parts.join(DEFAULT.drivers.of(CODE_OF_NONE), points)
    found.experience.coverage = coverage
    assert found.churn is not None
    found.churn.parts.join(Driver("nameless"), points)
    document = score_document(DEFAULT, STRANGE, state, found)

    assert {"driver": "driver_999", "ledger": "experience", "points": points} in document["drivers"]
    assert {"driver": "nameless", "logit": points} in document["churn_drivers"]
    (written,) = score_texts(DEFAULT, [(STRANGE.encode(), state, found)])
    assert written == orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


@pytest.mark.parametrize("copied", [by_a_slice, by_words])
@given(numbers=st.lists(st.floats() | st.none() | st.integers(-(10**17), 10**17)))
def test_every_number_is_copied_whole(copied: Copy, numbers: list[object]):
    """A number is copied up to its comma, however many digits it has, and the next one begins behind that."""
    written, at = BytesWriter(), 1
    for number in numbers:
        at = copied(written, orjson.dumps([*numbers, " " * 8]), at)
        assert written.getvalue() == orjson.dumps(number)
        written.truncate(0)


@pytest.mark.sources
@given(lives(), days(0, 800))
def test_the_text_is_the_same_where_it_is_compiled(life: Life, day: float):
    """The way of compiled code gives the same bytes."""
    found = assess(DEFAULT, row(life), seconds(day))
    with mock.patch.object(texts, "COMPILED", new=True):
        assert drivers_text(found) == orjson.dumps(found.drivers)


AMOUNTS = [-2.0, -1.0, -0.0, 0.0, 1e-12, 1.0, 1e6, -1e22]
MILLION = 1e6


@pytest.mark.parametrize("ranked", [by_sorting, by_insertion])
@given(
    given_parts=st.lists(st.tuples(st.sampled_from(AMOUNTS), st.text("abc", max_size=9), st.integers(0, 9)))
)
def test_parts_are_ranked_by_their_size_and_then_by_name(
    ranked: Ranked, given_parts: list[tuple[float, str, int]]
):
    """The strongest comes first, equals by name or by code, then as they came; rounding decides nothing."""
    parts = Parts([])
    for amount, name, code in given_parts:
        parts.join(Driver(name, code), amount)

    places = range(len(given_parts))
    for by_name, tie in ((True, 1), (False, 2)):
        wanted = sorted(places, key=lambda at, tie=tie: (_rank(given_parts[at][0]), given_parts[at][tie]))
        assert list(ranked(parts, by_name=by_name)) == wanted


def _rank(amount: float) -> float:
    return -round(min(abs(amount), MILLION), 9)


def test_drivers_are_named_in_their_order():
    """Whoever lists drivers has the strongest first."""
    parts = Parts([])
    for name, amount in (("b", 1.0), ("c", -2.0), ("a", 1.0)):
        parts.join(Driver(name), amount)

    assert parts.named(by_name=True) == [("c", -2.0), ("a", 1.0), ("b", 1.0)]
