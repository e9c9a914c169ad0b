"""The dashboard CX pulse: how customers feel now, and where it hurts."""

from typing import Final

from grafana.boards.kit import JOB, WORKER, Board, Panel, bars, lines, rate, share, stack, stats

GOOD, BAD, WARN = "green", "red", "orange"
SCORE_STEPS: Final = ((35.0, WARN), (55.0, "yellow"), (75.0, GOOD))
"""The default policy's bands."""
BANDS: Final = (
    *(("critical", BAD), ("at_risk", WARN), ("steady", "blue"), ("delighted", GOOD)),
    ("unknown", "#888888"),
)


def _median(ledger: str) -> str:
    return _quantile(0.5, ledger)


def _quantile(quantile: float, ledger: str) -> str:
    buckets = f'sum by (le) (cx_customers_by_score{{ledger="{ledger}", {WORKER}}})'
    return f"histogram_quantile({quantile}, {buckets})"


def _gap(most: str) -> str:
    return f'sum(cx_customers_by_gap{{le="{most}", {WORKER}}})'


def _bands(which: str) -> str:
    return f'sum(cx_customers_by_band{{band=~"{which}", {WORKER}}})'


def _kpi(survey: str) -> str:
    answers = f'sum(cx:survey_answers:increase7d{{survey="{survey}", {JOB}}})'
    good = (
        f'sum(cx:survey_good:ratio7d{{survey="{survey}", {JOB}}} '
        f'* cx:survey_answers:increase7d{{survey="{survey}", {JOB}}})'
    )
    return f"{good} / {answers}"


def _rate(metric: str, matchers: str = "") -> str:
    return rate(metric, "channel", matchers)


def _time(quantile: float, metric: str) -> str:
    return f"histogram_quantile({quantile}, {rate(metric + '_bucket', 'channel, le')})"


def _figures() -> tuple[Panel, ...]:
    scores = stats(
        4,
        (
            "Experience, median",
            "Half of the customers of whom enough is known feel better than this, half worse (0 to 100).",
            "suffix: / 100",
            _median("experience"),
        ),
        (
            "Service, median",
            "The same of service alone: how the company served where it was asked.",
            "suffix: / 100",
            _median("service"),
        ),
        steps=SCORE_STEPS,
        base=BAD,
        decimals=0,
    )
    unhappy = stats(
        4,
        (
            "Unhappy customers",
            "Share of customers in the bands critical and at_risk, among those of whom enough is known.",
            "percentunit",
            share(_bands("critical|at_risk"), _bands("critical|at_risk|steady|delighted")),
        ),
        steps=((0.1, "yellow"), (0.25, BAD)),
        base=GOOD,
        decimals=1,
    )
    surveys = stats(
        4,
        ("CSAT, 7 days", "Share of answers in the top two of five boxes.", "percentunit", _kpi("csat")),
        (
            "NPS, 7 days",
            "Promoters less detractors, -100 to 100; customers who answered about the company.",
            "none",
            f"avg(cx:nps:points7d{{{JOB}}})",
        ),
        ("CES, 7 days", "Share who agree (5 to 7 of 7) that it was easy.", "percentunit", _kpi("ces")),
        decimals=0,
    )
    return (*scores, *unhappy, *surveys)


def _feeling() -> tuple[Panel, ...]:
    return (
        stack(
            8,
            "Customers by band",
            "All customers in the table by the band of their experience; unknown: too little is known.",
            "short",
            (f"sum by (band) (cx_customers_by_band{{{WORKER}}})", "{{band}}"),
            colors=BANDS,
        ),
        lines(
            8,
            "Experience of the tenths, and of whom service hides it",
            "A fall of the lowest tenth alone hits some, all together everybody. Gap: those of 100 who were served "
            "well and feel more than 20 points worse.",
            "none",
            (_quantile(0.1, "experience"), "worst tenth"),
            (_quantile(0.5, "experience"), "median"),
            (_quantile(0.9, "experience"), "best tenth"),
            (f"100 - 100 * {_gap('20')} / ({_gap('+Inf')} > 0)", "of 100 with a gap"),
            least=0.0,
            most=100.0,
            colors=(
                ("worst tenth", BAD),
                ("median", "blue"),
                ("best tenth", GOOD),
                ("of 100 with a gap", "purple"),
            ),
        ),
        lines(
            8,
            "Open alerts by rule",
            "Customers of whom a rule says that something has changed, as the last sweep saw it.",
            "short",
            (f"sum by (rule) (cx_open_alerts{{{WORKER}}})", "{{rule}}"),
            least=0.0,
        ),
    )


def _at_risk(labels: str, by: str = "") -> str:
    amount = f"sum by ({labels}) (cx_value_at_risk{by}_minor_units{{{WORKER}}})"
    return f"topk(8, {amount} / scalar(max(cx_currency_minor_units{{{WORKER}}})))"


def _named(amounts: str) -> str:
    """Return PromQL that says so where nobody owns a cause, instead of nothing."""
    return f'label_replace({amounts}, "owner", "no owner", "owner", "")'


def _causes() -> tuple[Panel, ...]:
    points = f'sum by (driver) (cx_driver_points{{ledger="experience", {WORKER}}})'
    customers = f"scalar(sum(cx_customers{{{WORKER}}}))"
    bad = f'rate(cx_moment_points_total{{feeling="bad", {WORKER}}}[1h])'
    return (
        bars(
            12,
            "What takes most from the experience",
            "Points that each driver takes from the scores of 100 customers, now.",
            "none",
            (f"topk(8, -100 * ({points} < 0) / {customers})", "{{driver}}"),
            base=BAD,
            height=8,
            decimals=0,
        ),
        bars(
            12,
            "Where it hurts: moments of the last hour",
            "Weight times distance from the prior of bad moments, by driver and channel, as a share of all bad ones.",
            "percentunit",
            (
                f"topk(8, sum by (driver, channel) ({bad}) / scalar(sum({bad}))) > 0",
                "{{driver}} ({{channel}})",
            ),
            base=WARN,
            height=8,
            decimals=1,
        ),
        bars(
            12,
            "Value at risk by driver",
            "Probability of churn x spend a year, in the policy's currency, by what takes most from each customer, and its owner.",
            "short",
            (_named(_at_risk("driver, owner")), "{{driver}} ({{owner}})"),
            base="blue",
            height=8,
            decimals=0,
        ),
        bars(
            12,
            "Value at risk by journey stage and by store",
            "The same sum split twice: by how far customers are on the way, and by their home store (the 8 with most).",
            "short",
            (_at_risk("stage", "_by_stage"), "{{stage}}"),
            (_at_risk("store", "_by_store"), "store {{store}}"),
            base="blue",
            height=8,
            decimals=0,
        ),
    )


def _surveys() -> tuple[Panel, ...]:
    nps, margin = f"cx:nps:points7d{{{JOB}}}", f"cx:nps:margin7d{{{JOB}}}"
    return (
        lines(
            6,
            "CSAT by channel, with its 95% interval",
            "Top two of five boxes over 7 days with Wilson's interval: wide where few have answered.",
            "percentunit",
            (f'avg by (channel) (cx:survey_good:ratio7d{{survey="csat", {JOB}}})', "{{channel}}"),
            (f'avg by (channel) (cx:survey_good:wilson_low7d{{survey="csat", {JOB}}})', "{{channel}} low"),
            (f'avg by (channel) (cx:survey_good:wilson_high7d{{survey="csat", {JOB}}})', "{{channel}} high"),
            least=0.0,
            most=1.0,
        ),
        lines(
            6,
            "NPS by channel, with its 95% interval",
            "Promoters less detractors over 7 days; wide where few have answered.",
            "none",
            (f"avg by (channel) ({nps})", "{{channel}}"),
            (f"avg by (channel) (clamp_min({nps} - {margin}, -100))", "{{channel}} low"),
            (f"avg by (channel) (clamp_max({nps} + {margin}, 100))", "{{channel}} high"),
            least=-100.0,
            most=100.0,
        ),
    )


def _waits() -> tuple[Panel, ...]:
    return (
        lines(
            6,
            "Waiting time, nine of ten",
            "Nine of ten who wait for a person wait no longer than this.",
            "s",
            (_time(0.9, "cx_contact_wait_seconds"), "{{channel}}"),
            least=0.0,
        ),
        lines(
            6,
            "Handling and first reply, median",
            "Calls and chats from the first word to the end of the after-call work; tickets to the first reply.",
            "s",
            (_time(0.5, "cx_contact_handling_seconds"), "{{channel}} handling"),
            (_time(0.5, "cx_first_reply_seconds"), "{{channel}} first reply"),
            least=0.0,
        ),
    )


def _contacts() -> tuple[Panel, ...]:
    contacts = _rate("cx_contacts_total")
    offered = _rate("cx_offered_contacts_total")
    judged = _rate("cx_first_contacts_total")
    ended = _rate("cx_promises_total", 'result=~"kept|broken"')
    return (
        lines(
            8,
            "First-contact resolution and promises kept",
            "Contacts without another on the same issue within 7 days, and promises kept of those that ended.",
            "percentunit",
            (
                share(_rate("cx_first_contacts_total", 'result="resolved"'), judged),
                "{{channel}} first contact",
            ),
            (share(_rate("cx_promises_total", 'result="kept"'), ended), "{{channel}} promises"),
            least=0.0,
            most=1.0,
        ),
        lines(
            8,
            "Abandoned contacts",
            "Share of those who waited for a person and went.",
            "percentunit",
            (share(_rate("cx_offered_contacts_total", 'result="abandoned"'), offered), "{{channel}}"),
            least=0.0,
        ),
        lines(
            8,
            "Failure demand and contacts an order",
            "Failure demand: contacts within 14 days of a bad experience. Contacts an order: 100% is one for each.",
            "percentunit",
            (share(_rate("cx_contacts_total", 'after="failure"'), contacts), "failure demand, {{channel}}"),
            (f"sum({contacts}) / (sum({_rate('cx_orders_total')}) > 0)", "contacts an order"),
            least=0.0,
        ),
    )


def pulse() -> Board:
    """Return the dashboard."""
    question = "How do customers feel now, and where does it hurt?"
    service = (*_surveys(), *_waits(), *_contacts())
    return Board("cx-pulse", question, (*_figures(), *_feeling(), *_causes(), *service), span="now-24h")
