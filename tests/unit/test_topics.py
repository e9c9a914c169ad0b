"""How long inputs are kept, and what `cx topics check` says of those that are kept for less."""

from pathlib import Path

import pytest

from streams.admin import TopicState, input_days
from streams.cli.topics import _tell_of_retention
from streams.errors import CxError, Exit
from streams.settings import Settings
from streams.topics import DAY_MS, LOST_SHARE, MOST_DAYS, WEB, memory_days


@pytest.mark.parametrize("half_life_days", [0.1, 1.0, 30.0, 90.0])
def test_what_is_older_than_the_memory_weighs_little(half_life_days: float):
    """The share of the evidence beyond it is at most a twentieth, and a day less would not do."""
    days = memory_days(half_life_days)
    assert 2.0 ** (-days / half_life_days) <= LOST_SHARE
    assert 2.0 ** (-(days - 1) / half_life_days) > LOST_SHARE


def test_a_memory_without_end_is_a_hundred_years():
    """Kafka counts milliseconds in 64 bits."""
    assert memory_days(float("inf")) == MOST_DAYS


def test_the_days_of_the_settings_come_before_the_policys():
    """0 asks the policy, by default the product's own."""
    assert input_days(Settings()) == 389
    assert input_days(Settings(retention_days=30, policy="/no/such/policy.toml")) == 30


def inputs(days: int) -> tuple[TopicState, ...]:
    """Return an input that is kept for so many days."""
    return (TopicState(WEB.name, WEB, 4, {"retention.ms": str(days * DAY_MS)}),)


def test_inputs_that_are_kept_too_short_are_told_with_the_mend(capsys: pytest.CaptureFixture[str]):
    """What a rebuild would lose, and the command; of those kept long enough not a word."""
    _tell_of_retention(inputs(389), Settings())
    assert capsys.readouterr() == ("", "")
    _tell_of_retention(inputs(7), Settings())
    said = capsys.readouterr().err
    assert said.startswith("warning: inputs are kept 7 days: a rebuild would lose 95%")
    assert "\n  try: kafka-configs.sh " in said
    assert f"retention.ms={389 * DAY_MS} --topic cx.touchpoints.web" in said


def test_a_policy_that_cannot_be_read_does_not_pass_for_a_check(tmp_path: Path):
    """How long inputs should be kept is not known then: exit code 2."""
    with pytest.raises(CxError, match=r"none\.toml") as refused:
        _tell_of_retention(inputs(7), Settings(policy=str(tmp_path / "none.toml")))
    assert refused.value.code is Exit.USAGE
