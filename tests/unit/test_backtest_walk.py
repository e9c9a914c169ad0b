"""The walk: real scores in event time, learnt from the past alone, and a log that is judged fairly."""

from collections.abc import Iterable

import numpy as np
import orjson
import pytest

from schemas.times import at_time
from streams.backtest.fit import Fitter
from streams.backtest.log import Engagements, read_log
from streams.backtest.plan import Plan, grid, next_fit, under_horizon
from streams.backtest.run import ask, backtest, fit
from streams.backtest.walk import Walk, Walked
from streams.errors import CxError
from streams.scoring.apply import Scorer
from streams.scoring.explain import assess
from streams.scoring.policy import DAY_S, Policy, default_policy
from tests.purchases import START_S, buyers, cdnow_part, order

MONTH = Plan(30, 60, 7)


def walked(lines: Iterable[bytes], plan: Plan = MONTH, *, refit: bool = True) -> tuple[Walked, Walk]:
    """Return the walk through a log."""
    policy = under_horizon(default_policy(), plan.horizon_days)
    walk = Walk(read_log(lines, policy), plan, policy, refit=refit)
    times = grid(plan, walk.engagements.first_s, walk.engagements.last_s)
    return walk.run(times), walk


@pytest.fixture(scope="module")
def lived() -> tuple[Walked, Walk]:
    """Return a walk with fits through some made-up months."""
    return walked(buyers(250, 300))


def test_scores_do_not_know_the_future():
    """Scores up to a time are the same to the bit whatever comes after it, fits and baselines included."""
    lines = cdnow_part(12)
    cut = "1997-11-01"
    later = [line for line in lines if orjson.loads(line)["time"] >= cut]
    ids = [orjson.loads(line)["subject"] for line in later]
    shuffled = []
    for line, subject in zip(later, reversed(ids), strict=True):
        event = orjson.loads(line)
        shuffled.append(orjson.dumps(event | {"subject": subject, "data": event["data"] | {"total": 7}}))
    plan = Plan(60, 120, 7)
    as_it_was, _ = walked(lines, plan)
    changed, _ = walked([*lines[: len(lines) - len(later)], *shuffled], plan)

    cut_s = 878_342_400.0  # 1997-11-01
    before = as_it_was.rows.at_s <= cut_s
    assert before.sum() > 2_000
    assert as_it_was.policy != default_policy()
    for name, column in as_it_was.scores.items():
        assert np.array_equal(column[before], changed.scores[name][changed.rows.at_s <= cut_s]), name
    assert not np.array_equal(as_it_was.rows.spend, changed.rows.spend)


def test_scores_are_those_of_the_worker():
    """What a walk scores is what `cx score` says of the customer at that time, from the same events."""
    lines = buyers(20, 120, seed=2)
    found, walk = walked(lines, refit=False)
    policy = default_policy()
    scorer = Scorer(policy_of(walk, policy))
    log = read_log(lines, policy)

    for row in range(0, len(found.rows), 17):
        at_s, customer = float(found.rows.at_s[row]), int(found.rows.customer[row])
        state = None
        for event_s, _, _, whose, topic, event in log.entries:
            if whose == customer and event_s < at_s:
                state = state or scorer.new(event_s)
                scorer.apply(state, event, event_s, topic)
        assert state is not None
        churn = assess(scorer, state, at_s).churn
        assert churn is not None
        assert found.scores["ours"][row] == pytest.approx(churn.logit, abs=1e-9)


def policy_of(walk: Walk, policy: Policy) -> Policy:
    """Return the policy that a walk without fits scores by."""
    del walk
    return under_horizon(policy, MONTH.horizon_days)


def test_rows_are_the_active_customers(lived: tuple[Walked, Walk]):
    """Each period has every customer who engaged within the active time, and nobody else, once."""
    found, walk = lived
    engaged = walk.engagements
    rows = found.rows

    for period in (5, 20, 30):
        inside = found.period == period
        at_s = rows.at_s[inside][0]
        active = {
            int(customer)
            for customer, time_s in zip(engaged.customers, engaged.times_s, strict=True)
            if at_s - 60 * DAY_S <= time_s // DAY_S * DAY_S and time_s < at_s
        }
        assert sorted(rows.customer[inside]) == sorted(active)


def test_the_last_period_is_one_whose_horizon_the_log_reaches(lived: tuple[Walked, Walk]):
    """No row is scored whose label the log cannot tell."""
    found, walk = lived
    last_day_ends = walk.engagements.last_s // DAY_S * DAY_S + DAY_S

    assert found.rows.at_s.max() + 30 * DAY_S <= last_day_ends
    assert found.rows.at_s.max() + 37 * DAY_S > last_day_ends


def test_a_fit_is_what_the_walk_would_go_on_with(lived: tuple[Walked, Walk]):
    """`fit` learns the coefficients with the signs that the policy asks for, and calibrates each horizon."""
    question = ask("made-up", buyers(250, 300), MONTH, default_policy())
    found = fit(question)
    churn = found.policy.churn

    assert found.learnt_days == 30
    assert found.rows > lived[0].fits[-1].rows
    assert churn.rhythm >= 0 >= churn.engagement
    assert churn.calibration.kind == "isotonic"
    assert list(churn.base) == sorted(churn.base, reverse=True)
    assert found.policy.drivers == default_policy().drivers


def test_learning_helps(lived: tuple[Walked, Walk]):
    """On a log that the default policy was not made for, fits calibrate better than the default."""
    lines = buyers(250, 300)
    ours = backtest(ask("x", lines, MONTH, default_policy()), refit=True)
    default = backtest(ask("x", lines, MONTH, default_policy()), refit=False)

    assert ours.refits == len(lived[0].fits) > 5
    assert default.refits == 0
    mine, theirs = ours.models["ours"], default.models["ours"]
    assert mine.ece is not None
    assert theirs.ece is not None
    assert mine.ece < theirs.ece
    assert mine.brier is not None
    assert theirs.brier is not None
    assert mine.brier < theirs.brier


def test_columns_are_what_the_scoring_weighs(lived: tuple[Walked, Walk]):
    """The features that are learnt on give, under the learnt policy, the log-odds that the scoring told."""
    found, walk = lived
    rows = found.rows.take(np.flatnonzero(found.period == found.period.max()))
    policy = found.policy
    scorer = Scorer(policy)
    index, churn = policy.alert_horizon, policy.churn
    p0 = walk._fitter._p0(rows, index, found.fits[-1].population)  # what the fit takes for logit P0
    told = (
        churn.base[index]
        + churn.rhythm * np.clip(p0, -churn.rhythm_limit, churn.rhythm_limit)
        + churn.engagement * rows.log_count(index)
        + churn.spend * rows.log_spend(churn.typical_spend)
        + churn.recency * rows.silence(churn.alert_horizon_days)
        + rows.terms
    )
    curve = scorer.churn.calibration.curves[index]

    own = np.array([curve.at(float(logit)) for logit in told])
    assert np.all(rows.logit <= own + 1e-9)  # the curve of a shorter horizon may hold it down
    assert np.isclose(rows.logit, own, atol=1e-9).mean() > 0.5


def test_after_a_gap_of_decades_something_is_left_to_learn_from(lived: tuple[Walked, Walk]):
    """A log with one event of a wrong year can be fitted: the newest that came true does not fade to 0."""
    found, walk = lived
    base, lives = under_horizon(default_policy(), 30), walk._lives(float(found.rows.at_s.max()))
    soon, late = (
        Fitter(base, walk.engagements).fit(found.rows, lives, found.rows.at_s.max() + days * DAY_S)
        for days in (21 * 90, 200_000)
    )

    assert soon.learnt_days == 30
    assert late.policy == soon.policy


def test_a_new_horizon_gets_shorter_company():
    """A horizon that the policy does not have comes with a third and two thirds of it."""
    policy = under_horizon(default_policy(), 273)

    assert policy.churn.horizons_days == (91, 182, 273)
    assert policy.churn.alert_horizon_days == 273
    assert under_horizon(default_policy(), 60).churn.horizons_days == (30, 60, 90)
    assert under_horizon(default_policy(), 1).churn.horizons_days == (1,)


def test_before_the_horizon_has_matured_a_shorter_one_teaches():
    """Nothing can be known of a horizon as long as the log so far: a shorter one gives the coefficients."""
    plan = Plan(90, 90, 7, warmup_days=90)
    found, _ = walked(buyers(300, 190), plan)

    assert found.fits[-1].learnt_days == 30
    assert found.policy.churn.rhythm != default_policy().churn.rhythm
    assert found.policy.churn.calibration.x[2] == (0.0,)  # nothing to calibrate it by ...
    last = found.rows.take(np.flatnonzero(found.period == found.period.max()))
    expected = found.scores["mbgnbd"][found.period == found.period.max()].mean()
    told = (1 / (1 + np.exp(-last.logit))).mean()
    assert told == pytest.approx(expected, abs=0.1)  # ... but the level is that of the population


def test_too_little_to_learn_keeps_the_policy():
    """With a handful of customers the coefficients stay those of the policy."""
    found, _ = walked(buyers(6, 200))

    assert {fitted.learnt_days for fitted in found.fits} == {None}
    assert found.policy.churn == under_horizon(default_policy(), 30).churn


@pytest.mark.parametrize(
    ("lines", "plan", "words"),
    [
        ([], MONTH, "no event of a known customer"),
        ([b"{", b"  "], MONTH, "1 lines were rejected"),
        ([order("a", 1)], MONTH, "the log spans 1 day: too few"),
        (
            [order("a", 1), order("a", 36)],
            MONTH,
            "the log spans 36 days: too few to see what follows 30 days",
        ),
        ([order("a", 1), order("a", 100)], Plan(30, 60, 7, 90), "no period is left to judge after a warm-up"),
        (
            [order("a", 0), order("a", 200)],
            MONTH,
            "no customer was active within 60 days in any judged period, 2026-04-16 to 2026-06-18",
        ),
        ([order("a", 1), order("a", 200)], Plan(30, 1, 7), "no customer was active within 1 days"),
        ([order("a", day) for day in range(0, 200, 5)], MONTH, "no customer stayed away for 30 days"),
        (
            [order("a", 0), order("b", 100), order("c", 160)],
            Plan(30, 60, 7, 99),
            "every customer stayed away",
        ),
        ([order("a", 1, direction="outbound")], MONTH, "no customer of the log engages"),
    ],
)
def test_a_log_that_says_nothing_is_told_so(lines: list[bytes], plan: Plan, words: str):
    """Each log that cannot be judged ends in a sentence that names why, with what to do."""
    with pytest.raises(CxError) as refused:
        backtest(ask("log", lines, plan, default_policy()), refit=True)
    assert words in refused.value.message
    assert refused.value.mend


def test_one_period_is_enough():
    """A log with a single period to judge is judged."""
    lines = buyers(200, 100)
    verdict = backtest(ask("short", lines, Plan(30, 60, 28, 28), default_policy()), refit=True)

    assert 1 <= verdict.periods <= 2
    assert verdict.models["ours"].auc > 0.5


def test_long_pasts_are_learnt_of_less_often():
    """Fits follow each other at four periods, and after 160 at a fortieth of what has passed."""
    assert [next_fit(each) for each in (0, 4, 100, 160, 320)] == [4, 8, 104, 164, 328]


def test_labels_look_within_the_horizon():
    """A label is 1 where no engagement comes from the time on until just before the horizon ends."""
    engaged = Engagements(np.array([1, 0, 1]), np.array([10.0, 5.0, 20.0]) * DAY_S)
    customers = np.array([0, 0, 1, 1, 1, 1, 2])
    at_s = np.array([5.0, 5.1, 0.0, 10.1, 20.1, 99.0, 1.0]) * DAY_S

    assert engaged.silent(customers, at_s, 10).tolist() == [False, True, True, False, True, True, True]
    assert engaged.silent(np.array([1]), np.array([0.0]), 10.01).tolist() == [False]


def test_a_repeated_event_counts_once():
    """An event that comes twice is one, as for a worker."""
    once, _ = walked(buyers(30, 120, seed=3), refit=False)
    twice, _ = walked([line for line in buyers(30, 120, seed=3) for _ in range(2)], refit=False)

    assert np.array_equal(once.scores["ours"], twice.scores["ours"])


def test_times_start_with_a_day(lived: tuple[Walked, Walk]):
    """Scores are given at midnight UTC, so that days are whole."""
    assert np.all(lived[0].rows.at_s % DAY_S == 0)
    assert lived[0].rows.at_s.min() == START_S + 7 * DAY_S


def test_who_has_not_engaged_yet_is_not_asked_about():
    """A visitor becomes a row with the first purchase, and a log without amounts is one all the same."""
    visit = orjson.loads(order("late", 10)) | {"type": "cx.page.viewed.v1", "data": {"path": "/"}, "id": "v"}
    lines = [orjson.dumps(visit), order("late", 100, total=0)]
    lines += [orjson.dumps(orjson.loads(line) | {"data": {"order_id": "o"}}) for line in buyers(120, 200)]
    found, _ = walked(lines)
    late = 0  # the number of the first customer in the file

    assert found.rows.at_s[found.rows.customer == late].min() > START_S + 100 * DAY_S
    assert found.policy.churn.spend == 0.0
    assert found.policy.churn.typical_spend == default_policy().churn.typical_spend


@pytest.mark.parametrize(("others", "breaks"), [("web", True), ("store", False)])
def test_a_promise_that_nobody_kept_is_broken_as_by_a_worker(others: str, *, breaks: bool):
    """An overdue delivery adds to the risk once its channel has been read past it, and never before."""
    due = at_time(START_S + 70.5 * DAY_S)
    lines = [orjson.dumps(orjson.loads(line) | {"channel": others}) for line in buyers(40, 120, seed=2)]
    waits = {"promised": order("waits", 58, promised_at=due), "plain": order("waits", 58)}
    found = {name: walked([line, *lines], refit=False)[0] for name, line in waits.items()}
    rows = found["plain"].rows
    own = rows.customer == 0
    more = found["promised"].scores["ours"][own] - found["plain"].scores["ours"][own]
    overdue = rows.at_s[own] > START_S + 70.5 * DAY_S

    assert 0 < overdue.sum() < len(overdue)
    assert np.all(more[~overdue] == 0.0)
    assert np.all((more[overdue] > 0.5) == breaks)
    assert np.array_equal(found["promised"].scores["ours"][~own], found["plain"].scores["ours"][~own])


def test_who_is_to_be_forgotten_teaches_nothing():
    """The events of a forgotten customer are left out, those before the word and those after it."""
    policy = default_policy()
    word = orjson.loads(order("gone", 5)) | {"type": "cx.customer.forgotten.v1", "data": {"proof": "0" * 64}}
    others = buyers(5, 60)
    log = read_log([order("gone", 1), *others, orjson.dumps(word), order("gone", 9)], policy)

    assert log.forgotten == {"gone"}
    assert [entry[:3] for entry in log.entries] == [entry[:3] for entry in read_log(others, policy).entries]
    with pytest.raises(CxError, match="no event of a known customer"):
        read_log([order("gone", 1), orjson.dumps(word)], policy)


def test_bad_experience_is_weighed_by_what_it_did():
    """Where complaints foretell nothing a fit takes the weight off experience; where they do, it adds."""
    factors = []
    for foretells in (False, True):
        rng = np.random.default_rng(8)
        lines = []
        for number in range(250):
            leaves = bool(rng.random() < 0.5)
            complains = leaves if foretells else bool(rng.random() < 0.5)
            angry = 8 if foretells else int(rng.integers(0, 8))
            days = np.cumsum(rng.exponential(9.0, 30))
            last = days[min(len(days) - 1, 8)] if leaves else 270.0
            lines += [order(f"c{number}", round(float(day), 3)) for day in days if day <= last]
            if complains:
                complaint = orjson.loads(order(f"c{number}", round(float(days[angry]) + 0.01, 3), 1))
                lines.append(orjson.dumps(complaint | {"type": "cx.complaint.raised.v1", "data": {}}))
        fitted = fit(ask("complaints", lines, Plan(20, 40, 7), default_policy()))
        assert fitted.learnt_days == 20
        factors.append(fitted.policy.churn.complaint / default_policy().churn.complaint)

    assert factors[0] < 0.6
    assert factors[1] > 1.0
