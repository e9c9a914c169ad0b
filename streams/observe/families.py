"""Families of the product's own metrics: what came in, what customers live through, what the sweep saw."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from schemas.families.orders import OrderPlaced
from schemas.money import minor_digits
from schemas.rejects import RejectReason
from streams.observe.census import Census
from streams.observe.histogram import Histogram
from streams.observe.kpis import priced_by
from streams.observe.metrics import BY_NAME, Kind
from streams.observe.outcomes import ANY_RULE, BIN_LABELS, GROUPS, WHEN
from streams.observe.stakes import at_risk_by_store
from streams.observe.watch import Reading
from streams.scoring.lifecycle import LOST, RETURNED
from streams.scoring.policy import Policy
from streams.scoring.rules import SEVERITIES, Rule

_FAMILIES: Final[dict[Kind, Any]] = {Kind.COUNTER: CounterMetricFamily, Kind.GAUGE: GaugeMetricFamily}


def family(name: str, values: Mapping[Any, float] | float) -> Family:
    """Return a family of the table; a number is the value of one without labels, a text is one label."""
    metric = BY_NAME[name]
    made: Any = _FAMILIES[metric.kind](name, metric.meaning, labels=metric.labels)
    for labels, value in (values if isinstance(values, Mapping) else {(): values}).items():
        made.add_metric([labels] if isinstance(labels, str) else list(labels), value)
    shown: Family = made
    return shown


def histogram(name: str, values: Mapping[str, Histogram] | Histogram) -> Family:
    """Return a histogram of the table; one alone has no labels."""
    metric = BY_NAME[name]
    made = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    for label, each in (values if isinstance(values, Mapping) else {"": values}).items():
        made.add_metric([label] if label else [], list(each.buckets()), each.total)
    return made


def intake_families(reading: Reading) -> Iterator[Family]:
    """Yield who sent what."""
    tally, intake = reading.tally, reading.tally.intake
    yield family("cx_rejected_records_total", _every_reason(reading) | tally.rejects)
    yield family("cx_misplaced_customers_total", dict.fromkeys(_every_topic(reading), 0) | tally.misplaced)
    yield family("cx_touchpoints_total", intake.outcomes())
    yield family("cx_touchpoint_types_total", intake.types())
    yield family("cx_source_rejected_total", intake.rejects)
    yield family("cx_late_events_total", intake.late())
    yield family("cx_source_newest_event_timestamp_seconds", intake.newest_by_source())
    yield family("cx_newest_event_timestamp_seconds", tally.newest_event_s)


def _every_topic(reading: Reading) -> list[str]:
    """Return the inputs: counts that begin at 0 show their first increase, those that begin at 1 do not."""
    return sorted({each.topic for owner in reading.engine.partitions for each in owner.inputs})


def _every_reason(reading: Reading) -> dict[tuple[str, str], int]:
    """Return 0 for every input and reason."""
    return {(topic, reason.value): 0 for topic in _every_topic(reading) for reason in RejectReason}


def _every_alert() -> dict[tuple[str, str, str], int]:
    """Return 0 for every alert that may be opened: a sweep opens the first of a rule by the hundred."""
    return {(rule.label, severity, "opened"): 0 for rule in Rule for severity in SEVERITIES}


def _every_outcome() -> dict[tuple[str, str, str], int]:
    """Return 0 for every outcome: a share is wrong where one part begins at 0 and the other does not."""
    return {
        (rule.label, outcome, group): 0 for rule in Rule for outcome in (RETURNED, LOST) for group in GROUPS
    }


def _every_incident(reading: Reading) -> dict[tuple[str, str], int]:
    """Return 0 for every channel that was heard of: its first silence is an increase."""
    return {(channel, step): 0 for channel in reading.tally.newest_event_s for step in ("opened", "closed")}


def output_families(reading: Reading) -> Iterator[Family]:
    """Yield what goes out, and how quickly."""
    tally = reading.tally
    yield family("cx_scores_total", tally.scores)
    yield family("cx_alert_steps_total", _every_alert() | tally.alerts)
    yield histogram("cx_event_to_score_seconds", reading.scored)
    yield histogram("cx_event_to_alert_seconds", reading.alert_latency)
    yield family("cx_compute_seconds_total", tally.compute_s)
    yield family("cx_changelog_bytes_total", tally.changelog_bytes)


def kpi_families(reading: Reading, policy: Policy) -> Iterator[Family]:
    """Yield what the customers live through, by channel."""
    kpis = reading.tally.kpis
    yield family("cx_moment_points_total", reading.tally.intake.moments(policy.driver_names))
    unpriced = kpis.unpriced(policy.rhythm.engagement, priced_by(policy))
    yield family("cx_unpriced_engagements_total", unpriced)
    yield family("cx_currency_minor_units", {policy.currency: 10 ** minor_digits(policy.currency)})
    yield family("cx_survey_answers_total", kpis.answers)
    yield family("cx_contacts_total", kpis.contacts)
    yield family("cx_first_contacts_total", reading.first_contacts)
    yield family("cx_offered_contacts_total", kpis.offered)
    yield family("cx_promises_total", kpis.promises)
    yield family("cx_orders_total", reading.tally.intake.of_type(OrderPlaced))
    yield histogram("cx_contact_wait_seconds", kpis.wait_s)
    yield histogram("cx_contact_handling_seconds", kpis.handling_s)
    yield histogram("cx_first_reply_seconds", kpis.first_reply_s)


def outcome_families(reading: Reading) -> Iterator[Family]:
    """Yield what waits to be told, and whether the alerts were right, in time and well calibrated."""
    outcomes = reading.tally.outcomes
    rules, bins = [rule.label for rule in Rule], dict.fromkeys(BIN_LABELS, 0)
    yield family("cx_waiting_alerts", {str(each): desk.waiting for each, desk in reading.desks.items()})
    yield family("cx_announcements_left", {str(each): desk.left for each, desk in reading.desks.items()})
    yield family("cx_suppressed_steps_total", outcomes.suppressed)
    yield family("cx_alert_outcomes_total", outcomes.results)
    yield family("cx_inferred_outcomes_total", _every_outcome() | outcomes.inferred)
    yield family("cx_lost_customers_total", outcomes.losses)
    yield family("cx_foretold_losses_total", dict.fromkeys([*rules, ANY_RULE], 0) | outcomes.foretold)
    yield family("cx_budget_passed_total", outcomes.passed)
    yield family("cx_alert_actions_total", outcomes.actions)
    yield family("cx_incidents_total", _every_incident(reading) | outcomes.incidents)
    yield histogram("cx_alert_lead_seconds", outcomes.lead_s)
    yield family("cx_raised_alerts_total", dict.fromkeys(WHEN, 0) | outcomes.raised)
    yield family("cx_matured_predictions_total", bins | outcomes.predicted)
    yield family("cx_matured_churned_total", bins | outcomes.came_true)
    yield family("cx_matured_probability_total", bins | outcomes.probability)
    yield family("cx_matured_squared_error_total", outcomes.squared_error)


def census_families(reading: Reading) -> Iterator[Family]:
    """Yield the customers as the sweep found them, added up over the partitions that are here."""
    censuses = reading.censuses.values()
    bands: Counter[str] = Counter()
    open_alerts: Counter[tuple[str, str]] = Counter()
    for census in censuses:
        bands.update(census.bands)
        open_alerts.update(census.open_alerts)
    yield family("cx_customers_by_band", bands)
    yield family("cx_customers_by_score", _score_buckets(reading.censuses))
    yield family("cx_customers_by_gap", _added(each.gap for each in censuses))
    yield family("cx_driver_points", _sums(each.points for each in censuses))
    yield family("cx_value_at_risk_minor_units", _sums(each.value_at_risk for each in censuses))
    yield family("cx_value_at_risk_by_stage_minor_units", _sums(each.at_risk_by_stage for each in censuses))
    yield family("cx_value_at_risk_by_store_minor_units", at_risk_by_store(each.stores for each in censuses))
    yield family("cx_table_bytes", sum(census.row_bytes for census in censuses))
    yield family("cx_open_alerts", open_alerts)
    yield family("cx_customers_other_policy", sum(census.other_policy for census in censuses))
    yield from _pass_families(reading)


def _score_buckets(censuses: Mapping[int, Census]) -> Counter[tuple[str, str]]:
    by_score: Counter[tuple[str, str]] = Counter()
    for census in censuses.values():
        for ledger, each in (("experience", census.experience), ("service", census.service)):
            by_score.update({(ledger, le): n for le, n in each.buckets()})
    return by_score


def _sums(parts: Iterable[Mapping[Any, float]]) -> dict[Any, float]:
    """Return the sums of each key."""
    sums: dict[Any, float] = {}
    for part in parts:
        for key, value in part.items():
            sums[key] = sums.get(key, 0.0) + value
    return sums


def _added(histograms: Iterator[Histogram]) -> Counter[str]:
    added: Counter[str] = Counter()
    for each in histograms:
        added.update(dict(each.buckets()))
    return added


def _pass_families(reading: Reading) -> Iterator[Family]:
    """Yield how far the sweep is behind, by partition."""
    ages, passes = {}, {}
    for each in reading.engine.partitions:
        label, census = str(each.partition), reading.censuses.get(each.partition)
        if census is None:
            ages[label] = reading.uptime_s
        else:
            since_s = (
                each.watermark_s - census.at_s if reading.event_clock else reading.now_s - census.ended_s
            )
            ages[label] = max(0.0, since_s)
            passes[label] = max(0.0, census.ended_s - census.began_s)
    yield family("cx_sweep_age_seconds", ages)
    yield family("cx_sweep_pass_seconds", passes)
