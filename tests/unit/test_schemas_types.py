"""Types whose fields depend on each other, and the one table of types."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from schemas.codec import decode_line
from schemas.envelope import Touchpoint
from schemas.export import example
from schemas.families.promises import PromiseMadeData
from schemas.families.voice import ReviewPostedData, SurveyAnsweredData
from schemas.fields import CHANNELS
from schemas.rejects import Reject
from schemas.touchpoints import TYPES


def survey(**data: Any) -> SurveyAnsweredData:
    """Return the survey data decoded from JSON."""
    return msgspec.json.decode(json.dumps(data), type=SurveyAnsweredData)


def review(**data: Any) -> ReviewPostedData:
    """Return the review data decoded from JSON."""
    return msgspec.json.decode(json.dumps(data), type=ReviewPostedData)


def promise(**data: Any) -> PromiseMadeData:
    """Return the promise data decoded from JSON."""
    return msgspec.json.decode(json.dumps({"promise_id": "p", **data}), type=PromiseMadeData)


@pytest.mark.parametrize(
    ("kind", "low", "high", "scope"),
    [("nps", 0, 10, "relational"), ("csat", 1, 5, "transactional"), ("ces", 1, 7, "transactional")],
)
def test_survey_defaults(kind: str, low: float, high: float, scope: str):
    """A survey without a scale has its kind's; NPS is about the company, the others about a contact."""
    found = survey(survey=kind, score=high)

    assert (found.scale_min, found.scale_max, found.scope) == (low, high, scope)
    assert found.high_is_good is True
    assert found.goodness == 1.0
    assert survey(survey=kind, score=low).goodness == 0.0


def test_survey_scale_of_its_own():
    """A survey keeps the scale, direction and scope it names."""
    found = survey(survey="csat", score=2, scale_min=0, scale_max=4, high_is_good=False, scope="relational")

    assert (found.scale_min, found.scale_max, found.high_is_good, found.scope) == (0, 4, False, "relational")
    assert found.goodness == 0.5
    assert survey(survey="ces", score=1, high_is_good=False).goodness == 1.0


@pytest.mark.parametrize(
    ("data", "path", "mend"),
    [
        ({"survey": "nps", "score": 11}, "score", "from 0 to 10"),
        ({"survey": "csat", "score": 0}, "score", "from 1 to 5"),
        ({"survey": "csat", "score": 7, "scale_max": 6}, "score", "from 1 to 6"),
        ({"survey": "csat", "score": 5, "scale_min": 5}, "scale_max", "above scale_min"),
    ],
)
def test_score_outside_its_scale(data: dict[str, Any], path: str, mend: str):
    """A score outside its scale, or an empty scale, is a violation that names the scale."""
    event = json.loads(example("cx.survey.answered.v1")) | {"data": data}
    found = decode_line(json.dumps(event))

    assert isinstance(found, Reject)
    assert (found.reason, found.path, found.seen) == ("schema_violation", f"$.data.{path}", "number")
    assert mend in found.mend


def test_review_needs_a_judgement():
    """A review says something by its rating, within 1 to 5 unless it says otherwise, or by its sentiment."""
    assert review(rating=4).goodness == 0.75
    assert review(rating=8, scale_min=0, scale_max=10).goodness == 0.8
    assert review(sentiment=-0.5).goodness is None
    with pytest.raises(msgspec.ValidationError, match="Send `rating`"):
        review(reach=5)
    with pytest.raises(msgspec.ValidationError, match="from 1 to 5"):
        review(rating=6)


def test_promise_due_at():
    """A promise with a time is due at that time."""
    assert promise(due_at="2026-05-03T14:00:00+02:00").due == datetime(2026, 5, 3, 12, tzinfo=UTC)


def test_promise_due_on():
    """A promise for a day is due when that day ends where the customer is, also when the clocks change."""
    assert promise(due_on="2026-05-03", timezone="Europe/Berlin").due == datetime(2026, 5, 3, 22, tzinfo=UTC)
    assert promise(due_on="2026-10-25", timezone="Europe/Berlin").due == datetime(
        2026, 10, 25, 23, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "due_at"),
        ({"due_on": "2026-05-03"}, "timezone"),
        ({"due_on": "2026-05-03", "timezone": "Europe"}, "timezone"),
        ({"due_on": "2026-05-03", "timezone": "Mars/Olympus"}, "timezone"),
        ({"due_on": "2026-05-03", "timezone": "../../etc/passwd"}, "timezone"),
        ({"due_on": "2026-05-03", "timezone": "\x00"}, "timezone"),
    ],
)
def test_promise_without_a_due_time(data: dict[str, Any], field: str):
    """A promise whose due time cannot be known is a violation that names the field to mend."""
    with pytest.raises(msgspec.ValidationError, match=f"^{field}: Send "):
        promise(**data)


def test_the_last_day_of_the_calendar():
    """A due day that has no next day is refused where it is read, not where it is used."""
    with pytest.raises(msgspec.ValidationError, match="due_on"):
        promise(due_on="9999-12-31", timezone="Europe/Berlin")


@pytest.mark.parametrize("name", TYPES)
def test_table_of_types(name: str):
    """Each type has a name in the past tense form, a meaning, a channel, and data as its Struct has it."""
    info = TYPES[name]

    assert name.startswith("cx.")
    assert name.endswith(".v1")
    assert name.count(".") == 3
    assert info.meaning.endswith(".")
    assert info.channel in CHANNELS
    assert issubclass(info.touchpoint, Touchpoint)
    try:
        msgspec.json.decode(b"{}", type=info.data)
    except msgspec.ValidationError:
        assert not info.data_optional
    else:
        assert info.data_optional
