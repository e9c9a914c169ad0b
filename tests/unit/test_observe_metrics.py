"""The table of metrics, and what a scrape shows of a worker."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from schemas.families.orders import OrderPlaced
from schemas.families.support import CallEnded
from schemas.rejects import RejectReason
from streams.engine.stats import InputSnapshot, PartitionSnapshot, Snapshot, Stats
from streams.observe.collector import registry
from streams.observe.histogram import observe_under
from streams.observe.intake import Intake, Meter
from streams.observe.kpis import HANDLING_BUCKETS_S, REPLY_BUCKETS_S, WAIT_BUCKETS_S, Kpis
from streams.observe.metrics import DELIVERY, METRICS, Kind, metrics_table
from streams.observe.outcomes import Outcomes, bin_of
from streams.observe.tally import LATENCY_BUCKETS_S, Census, Histogram, Latencies, Tally
from streams.observe.watch import Reading, Waiting, Watch
from streams.scoring.policy import Policy
from streams.scoring.rules import SEVERITIES, Rule
from streams.suppression import GUARD
from tests.customers import DEFAULT, scorer

NOW = 1_800_000_000.0
COUNTS = {"accepted": 5, "duplicate": 2, "anonymous": 1, "suppressed": 0, "rejected": 1, "skipped": 1}


def an_input(topic: str = "web", **other: Any) -> InputSnapshot:
    """Return an input with 7 of 10 records applied, the last of them 30 s old."""
    usual = InputSnapshot(topic, 7, 10, NOW - 30, NOW - 40, at_end=False, moved=7)
    return replace(usual, **other)


def a_partition(number: int, *inputs: InputSnapshot, problem: str = "") -> PartitionSnapshot:
    """Return a partition that is worked on, or stopped for `problem`."""
    return PartitionSnapshot(
        partition=number,
        ready=not problem,
        problem=problem,
        rows=3,
        queue_bytes=1000,
        watermark_s=NOW - 1,
        sweep_passes=2,
        transactions=9,
        counts=COUNTS,
        inputs=inputs,
    )


def a_tally() -> Tally:
    """Return counters with something in each."""
    tally = Tally()
    tally.scores = 4
    tally.rejects["web", "not_json"] = 1
    tally.alerts["silence", "low", "opened"] = 2
    tally.misplaced["web"] = 6
    tally.compute_s, tally.changelog_bytes = 1.5, 900
    fill_intake(tally.intake)
    fill_kpis(tally.kpis)
    fill_outcomes(tally.outcomes)
    return tally


def fill_intake(intake: Intake) -> None:
    """Count a record of each kind."""
    calls = intake.accepted[CallEnded, "phone", "other"] = Meter(5, NOW - 40, 1)
    calls.feel(1, 65.0)
    intake.accepted[OrderPlaced, "web", "other"] = Meter(6, NOW - 50)
    intake.rejects["other", "not_json"] = 1


def fill_kpis(kpis: Kpis) -> None:
    """Count one of each figure."""
    kpis.answers["csat", "web", "good"] = 3
    kpis.contacts["phone", "failure"] = 2
    kpis.offered["phone", "abandoned"] = 1
    kpis.promises["web", "kept"] = 4
    kpis.spend(OrderPlaced, "web", "JPY")
    kpis.spend(OrderPlaced, "web", "USD")
    for histograms, bounds in (
        (kpis.wait_s, WAIT_BUCKETS_S),
        (kpis.handling_s, HANDLING_BUCKETS_S),
        (kpis.first_reply_s, REPLY_BUCKETS_S),
    ):
        observe_under(histograms, "phone", bounds, 45.0)


def fill_outcomes(outcomes: Outcomes) -> None:
    """Count an alert that came true, one that was told to nobody and a prediction."""
    outcomes.suppress("silence", "budget")
    outcomes.matured("churn_risk", "churned", lead_s=5 * 86400.0)
    outcomes.inferred["silence", "lost", "told"] = 1
    outcomes.losses = 1
    outcomes.foretold["any"] = 1
    outcomes.passed["churn_risk"] = 1
    outcomes.actions["alert.closed", "applied"] = 1
    outcomes.incidents["store", "opened"] = 1
    outcomes.raised["before_complaint"] = 1
    outcomes.predict(0.75, churned=True)


def a_census(customers: int) -> Census:
    """Return a census of customers who are all steady, with one open alert."""
    census = Census(began_s=NOW - 90, ended_s=NOW - 60, customers=customers, row_bytes=300, other_policy=1)
    census.points["experience", "waiting"] = -4.0
    census.value_at_risk["waiting", "service"] = 12_000.0
    census.at_risk_by_stage["repeat"] = 12_000.0
    census.stores.customers["north"] = 3
    census.stores.at_risk["north"] = 12_000.0
    census.gap.observe(12.0)
    census.bands["steady"] = customers
    census.open_alerts["silence", "low"] = 1
    for _ in range(customers):
        census.experience.observe(60.0)
        census.service.observe(100.0)
    return census


def a_reading(**other: Any) -> Reading:
    """Return a reading of two partitions in which every metric has a value."""
    latency = Histogram(LATENCY_BUCKETS_S)
    for seconds in (0.004, 0.02, 400.0):
        latency.observe(seconds)
    partitions = (a_partition(0, an_input()), a_partition(3, an_input("store"), problem="gone"))
    usual = Reading(
        engine=Snapshot(Stats(commits=8, failed=1, fenced=2), partitions),
        tally=a_tally(),
        alert_latency=latency,
        scored=latency,
        first_contacts={("phone", "repeated"): 1},
        censuses={0: a_census(2), 3: a_census(1)},
        desks={0: Waiting(2, 7.5)},
        now_s=NOW,
        uptime_s=500.0,
    )
    return replace(usual, **other)


def scrape(
    reading: Reading, policy: Policy = DEFAULT.policy
) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return what Prometheus would read: value by (name, labels)."""
    lag = Histogram(LATENCY_BUCKETS_S)
    made = registry(lambda: reading, policy, sweep_interval_s=900.0, loop_lag=lambda: lag)
    text = generate_latest(made).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def ours(reading: Reading) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the name and the label names of each of our series."""
    for name, labels in scrape(reading):
        if name.startswith("cx_"):
            yield name, tuple(label for label, _ in labels)


def test_every_metric_of_the_table_is_exposed_and_no_other():
    """The table is the documentation: a name that is only in one of the two would be a lie."""
    exposed = {
        name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")
        for name, _ in ours(a_reading())
    }
    assert exposed == {metric.name for metric in METRICS}


def test_labels_are_those_of_the_table():
    """Each series has exactly the labels that the table names."""
    wanted = {
        metric.name: tuple(sorted(metric.labels)) for metric in METRICS if metric.kind is not Kind.HISTOGRAM
    }
    seen = {name: labels for name, labels in ours(a_reading()) if name in wanted}
    assert seen == wanted


def test_no_label_can_grow_with_customers():
    """Series stay bounded: topics, partitions, closed sets and sources of the policy's list (G8)."""
    bounded = {
        *("partition", "topic", "outcome", "reason", "rule", "severity", "step", "band", "ledger", "le"),
        *("channel", "result", "version", "policy_version", "source", "type", "driver", "feeling"),
        *("survey", "answer", "after", "when", "bin", "told", "action", "receiver", "owner"),
        *("stage", "store", "currency"),
    }
    assert {label for metric in (*METRICS, *DELIVERY) for label in metric.labels} <= bounded


def test_outcomes_of_a_partition_add_up_to_its_offsets():
    """What the marker counted is shown outcome by outcome, and sums to the offsets applied (G4)."""
    reading = a_reading(
        engine=Snapshot(Stats(), (a_partition(0, an_input(moved=4), an_input("store", moved=6)),))
    )
    found = scrape(reading)
    outcomes = [value for (name, _), value in found.items() if name == "cx_records_total"]
    moved = [value for (name, _), value in found.items() if name == "cx_input_offsets_total"]
    assert sum(outcomes) == sum(moved) == 10


@pytest.mark.parametrize(
    ("given", "lag_s"),
    [
        (an_input(), 30.0),
        (an_input(next_offset=10, at_end=True), 0.0),
        (an_input(next_offset=10), 0.0),
        (an_input(last_record_s=-math.inf), 500.0),
        (an_input(highwater=None), None),
    ],
    ids=["behind", "at the end", "nothing left", "nothing applied yet", "nothing fetched yet"],
)
def test_lag_in_seconds_is_the_age_of_what_was_applied_last(given: InputSnapshot, lag_s: float | None):
    """Behind: the age of the last record applied, or of the worker; at the end 0; unknown is left out."""
    found = scrape(a_reading(engine=Snapshot(Stats(), (a_partition(0, given),))))
    assert found.get(("cx_lag_seconds", (("partition", "0"), ("topic", "web")))) == lag_s


def test_offsets_without_a_record_are_no_lag():
    """What a producer's transaction leaves behind the last record does not wait: nothing is stuck."""
    given = an_input(next_offset=8, highwater=10, at_end=True)
    found = scrape(a_reading(engine=Snapshot(Stats(), (a_partition(0, given),))))
    assert found["cx_lag_records", (("partition", "0"), ("topic", "web"))] == 0
    assert found["cx_lag_seconds", (("partition", "0"), ("topic", "web"))] == 0


def test_every_alert_is_there_before_it_is_opened():
    """The first mass of alerts of a rule is an increase, however many one sweep opens at once."""
    opened = {
        (dict(labels)["rule"], dict(labels)["severity"])
        for name, labels in scrape(a_reading(tally=Tally()))
        if name == "cx_alert_steps_total"
    }
    assert opened == {(rule.label, severity) for rule in Rule for severity in SEVERITIES}


def test_every_outcome_is_there_before_it_matures():
    """The first sweep judges many at once: no part of a share may begin at 0 and another beyond it."""
    found = scrape(a_reading(tally=Tally()))
    names = Counter(name for (name, _), value in found.items() if value == 0)
    bins = {dict(labels)["bin"] for name, labels in found if name == "cx_matured_predictions_total"}
    assert bins == {bin_of(number / 20) for number in range(21)}
    assert names["cx_matured_churned_total"] == names["cx_matured_probability_total"] == len(bins)
    assert names["cx_inferred_outcomes_total"] == len(Rule) * 2 * 3
    assert names["cx_foretold_losses_total"] == len(Rule) + 1
    assert names["cx_raised_alerts_total"] == 2


def test_every_reject_reason_is_there_before_it_happens():
    """A counter that begins at 1 shows no increase: the first reject of a kind would raise no alert."""
    found = scrape(a_reading())
    reasons = {
        dict(labels)["reason"]: value
        for (name, labels), value in found.items()
        if name == "cx_rejected_records_total" and dict(labels)["topic"] == "web"
    }
    assert reasons == {reason.value: 0 for reason in RejectReason} | {"not_json": 1}


def test_every_channel_may_fall_silent_for_the_first_time():
    """A channel that was heard of has its incidents at 0: the first one is an increase."""
    tally = Tally()
    tally.intake.accepted[OrderPlaced, "web", "other"] = Meter(1, NOW)
    tally.outcomes.incidents["store", "opened"] = 1
    found = scrape(a_reading(tally=tally))
    shown = {labels: value for (name, labels), value in found.items() if name == "cx_incidents_total"}
    assert shown == {
        (("channel", "store"), ("step", "opened")): 1,
        (("channel", "web"), ("step", "closed")): 0,
        (("channel", "web"), ("step", "opened")): 0,
    }


def test_a_recovery_and_the_time_without_work_are_shown():
    """How much is left to read, and all assignments, not the last one alone."""
    stats = Stats(recovery_rows=5, recovery_left=70, assignments=2, assignment_seconds=5.0, ready_seconds=2.0)
    found = scrape(a_reading(engine=Snapshot(stats, ())))
    assert found["cx_recovery_left_offsets", ()] == 70
    assert found["cx_recovery_rows_total", ()] == 5
    assert found["cx_assignments_total", ()] == 2
    assert found["cx_assignment_seconds_total", ()] == 5
    assert found["cx_ready_seconds", ()] == 2


def test_histograms_are_cumulative():
    """A bucket holds everything at most its bound: the last holds all."""
    found = scrape(a_reading())
    assert found["cx_event_to_alert_seconds_bucket", (("le", "0.025"),)] == 2
    assert found["cx_event_to_alert_seconds_bucket", (("le", "+Inf"),)] == 3
    assert found["cx_event_to_alert_seconds_count", ()] == 3
    assert found["cx_customers_by_score", (("le", "55"), ("ledger", "experience"))] == 0
    assert found["cx_customers_by_score", (("le", "60"), ("ledger", "experience"))] == 3
    assert found["cx_customers_by_score", (("le", "+Inf"), ("ledger", "service"))] == 3


def test_customers_are_added_up_over_partitions():
    """Bands, open alerts and rows of another policy are sums over what is here."""
    found = scrape(a_reading())
    assert found["cx_customers_by_band", (("band", "steady"),)] == 3
    assert found["cx_open_alerts", (("rule", "silence"), ("severity", "low"))] == 2
    assert found["cx_customers_other_policy", ()] == 2
    assert found["cx_value_at_risk_by_stage_minor_units", (("stage", "repeat"),)] == 24_000.0
    assert found["cx_value_at_risk_by_store_minor_units", (("store", "north"),)] == 24_000.0


def test_a_currency_without_a_rate_is_shown():
    """Amounts in yen count nothing under the default policy; dollars have a rate."""
    found = scrape(a_reading())
    shown = {labels: value for (name, labels), value in found.items() if "unpriced" in name}
    assert shown == {(("channel", "web"), ("currency", "JPY")): 1}


@pytest.mark.parametrize(("currency", "minor_units"), [("EUR", 100), ("JPY", 1), ("KWD", 1000)])
def test_amounts_can_be_shown_in_their_currency(currency: str, minor_units: int):
    """Dashboards divide by it: yen have no minor unit, dinars have thousandths."""
    found = scrape(a_reading(), scorer(currency=currency).policy)
    assert found["cx_currency_minor_units", (("currency", currency),)] == minor_units


def test_a_stopped_partition_is_seen():
    """A partition that waits for a person is not ready, and neither is the worker."""
    found = scrape(a_reading())
    assert found["cx_partition_stopped", (("partition", "3"),)] == 1
    assert found["cx_partition_ready", (("partition", "3"),)] == 0
    assert found["cx_ready", ()] == 0
    assert found["cx_partition_ready", (("partition", "0"),)] == 1


def test_times_that_are_not_known_are_left_out():
    """A watermark of -inf would draw a line into the abyss."""
    partition = replace(a_partition(0), watermark_s=-math.inf)
    found = scrape(a_reading(engine=Snapshot(Stats(), (partition,))))
    assert not [name for name, _ in found if name == "cx_watermark_timestamp_seconds"]


def test_the_process_is_shown_too():
    """CPU, memory and garbage collection come with the same scrape."""
    names = {name for name, _ in scrape(a_reading())}
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "python_info"} <= names


def test_the_table_for_the_docs_has_a_row_a_metric():
    """The reference names each metric with its labels, and what it covers."""
    lines = metrics_table().splitlines()
    assert len(lines) == 2 + len(METRICS) + len(DELIVERY)
    assert lines[2].startswith(
        "| `cx_records_total` | `cx worker` | counter | `partition`, `outcome` | records |"
    )


def a_watch(
    partitions: tuple[PartitionSnapshot, ...], *, started: bool = True, rows: Any = MappingProxyType({})
) -> Watch:
    """Return a watch over a worker that owns `partitions`; censuses of 0 to 3 are left from before.

    `rows` are those of each partition.
    """
    observed = SimpleNamespace(
        tally=a_tally(),
        alert_latency=Histogram(LATENCY_BUCKETS_S),
        latencies=Latencies(),
        desks={number: SimpleNamespace(waiting={b"anna": (1.0,)}, tokens_left=3.0) for number in range(4)},
        censuses={number: a_census(1) for number in range(4)},
        event_clock=False,
        partitions=4,
        scorer=DEFAULT,
    )
    owned = {each.partition: SimpleNamespace(state=SimpleNamespace(rows=rows)) for each in partitions}
    lane = SimpleNamespace(
        snapshot=lambda: Snapshot(Stats(), partitions),
        app=SimpleNamespace(started=started),
        partitions=owned,
    )
    return Watch(observed, lane)  # type: ignore[arg-type]


def test_a_census_of_a_partition_that_went_away_is_not_counted():
    """Else the customers of a partition would be counted here and at its new owner."""
    reading = a_watch((a_partition(1), a_partition(2))).read()
    assert set(reading.censuses) == {1, 2}
    assert reading.desks == {1: Waiting(1, 3.0), 2: Waiting(1, 3.0)}


def test_a_reading_does_not_change_with_the_worker():
    """The server's threads work on copies: the worker goes on counting meanwhile."""
    watch = a_watch(())
    reading = watch.read()
    watch.observed.tally.add(a_tally())
    watch.observed.alert_latency.observe(1.0)
    watch.observed.latencies.scored.observe(1.0)
    watch.observed.latencies.contacts.results["phone", "resolved"] += 1
    assert reading.tally.rejects["web", "not_json"] == 1
    assert reading.tally.misplaced["web"] == 6
    assert sum(reading.alert_latency.counts) == sum(reading.scored.counts) == 0
    assert reading.first_contacts == {}


def test_a_worker_that_has_not_started_is_not_ready():
    """Before the engine runs there is nothing to look at, and nobody is told to send traffic."""
    assert not a_watch((a_partition(0),), started=False).engine().ready
    assert a_watch((a_partition(0),)).engine().ready


FORGOTTEN = {GUARD: b"mac", GUARD + b":1": b"", GUARD + b":2": b""}


def customers_of(watch: Watch) -> list[int]:
    """Return the rows of each partition as metrics, readiness and the ready line show them."""
    return [each.rows for each in watch.engine().partitions]


def test_only_customers_are_counted():
    """Rows that remember the forgotten are nobody's, and neither is the guard beside them."""
    partition = replace(a_partition(1), rows=5)
    assert customers_of(a_watch((partition,), rows={b"a": b"", b"b": b"", **FORGOTTEN})) == [2]
    assert customers_of(a_watch((partition,), rows=dict.fromkeys([b"a", b"b", b"c", b"d", b"e"]))) == [5]


def test_who_was_forgotten_since_is_counted_by_the_next_pass():
    """Keys are looked at once, when they were loaded; from then on the sweep says how many are nobody's."""
    partition = replace(a_partition(1), rows=5)
    watch = a_watch((partition,), rows=FORGOTTEN | {b"a": b"", b"b": b""})
    before = watch.observed.censuses[1]
    before.forgotten = 1  # of a time when the partition was here before
    assert customers_of(watch) == customers_of(watch) == [2]
    watch.observed.censuses[1] = Census(forgotten=4)
    assert customers_of(watch) == customers_of(watch) == [1]
    del watch.observed.censuses[1]
    assert customers_of(watch) == [1]


def test_rows_that_were_loaded_again_are_counted_again():
    """A partition that went and came back is another one; of one that went nothing is kept."""
    partition = replace(a_partition(1), rows=5)
    watch = a_watch((partition,), rows=FORGOTTEN | {b"a": b"", b"b": b""})
    assert customers_of(watch) == [2]
    watch.lane.partitions[1].state.rows = {GUARD: b"mac", b"a": b"", b"b": b"", b"c": b"", b"d": b""}
    assert customers_of(watch) == [4]
    watch.lane.snapshot = lambda: Snapshot(Stats(), ())
    assert customers_of(watch) == []
    assert not watch._reserved


def test_a_pass_ages_by_the_clock_that_goes_on():
    """Under the event clock nothing can be unseen while no event comes, however long that takes."""
    census = replace(a_census(2), ended_s=NOW - 90.0, at_s=4_000.0)
    for number, (event_clock, watermark_s, age_s) in enumerate(
        [(False, 4_600.0, 90.0), (True, 4_600.0, 600.0), (True, 4_000.0, 0.0), (True, -math.inf, 0.0)]
    ):
        partition = replace(a_partition(0, an_input()), watermark_s=watermark_s)
        engine = Snapshot(Stats(), (partition,))
        found = scrape(a_reading(engine=engine, censuses={0: census}, event_clock=event_clock))
        assert found["cx_sweep_age_seconds", (("partition", "0"),)] == age_s, number
