"""The dashboard of Faust and Kafka internals: what the machine is doing."""

from grafana.boards.kit import WORKER, Board, Panel, increase, lines, rate, stack, stats


def _rate(metric: str, matchers: str = "") -> str:
    return rate(metric, "instance", matchers)


def _increase(metric: str) -> str:
    return increase(metric, "instance")


def _each(metric: str) -> str:
    return f"sum by (instance) ({metric}{{{WORKER}}})"


COMMITTED = _rate("cx_transactions_total", 'result="committed"')


def _figures() -> tuple[Panel, ...]:
    workers = stats(
        6,
        ("Workers", "Workers that are scraped.", "short", f"count(cx_build_info{{{WORKER}}})"),
        ("Policies", "Policies at work; 1 but for a moment.", "short", _policies()),
    )
    stopped = stats(
        6,
        (
            "Partitions stopped",
            "They wait for a person: `cx topics adopt`.",
            "short",
            f"sum(cx_partition_stopped{{{WORKER}}})",
        ),
        (
            "Customers split",
            "New customers in the last day that a producer put on a wrong partition.",
            "short",
            f"sum(increase(cx_misplaced_customers_total{{{WORKER}}}[1d])) or 0 * sum(cx_ready{{{WORKER}}})",
        ),
        steps=((1.0, "red"),),
        base="green",
        decimals=0,
    )
    return (*workers, *stopped)


def _policies() -> str:
    return f"count(count by (policy_version) (cx_build_info{{{WORKER}}}))"


def _transactions() -> tuple[Panel, ...]:
    return (
        lines(
            8,
            "Transactions",
            "One carries everything that a piece of work changed; a failed one is done again from the log.",
            "ops",
            (rate("cx_transactions_total", "result"), "{{result}}"),
            least=0.0,
        ),
        lines(
            8,
            "Time a transaction",
            "From begin to commit: what the broker costs.",
            "s",
            (
                f"{_rate('cx_commit_seconds_total')} / ({COMMITTED} > 0)",
                "{{instance}}",
            ),
            least=0.0,
        ),
        lines(
            8,
            "Changelog",
            "Bytes of rows written; Kafka compacts them to one row a customer.",
            "Bps",
            (_rate("cx_changelog_bytes_total"), "{{instance}}"),
            least=0.0,
        ),
        lines(
            8,
            "Rebalances, fences and heals",
            "Grow at deployments only. Fenced: another process took over. Healed: read again. Out of range: a "
            "person has to decide on an input.",
            "short",
            (_increase("cx_rebalances_total"), "rebalances {{instance}}"),
            (_increase("cx_fenced_total"), "fenced {{instance}}"),
            (_increase("cx_heals_total"), "healed {{instance}}"),
            (_increase("cx_refused_chunks_total"), "chunks refused {{instance}}"),
            (_increase("cx_out_of_range_total"), "out of range {{instance}}"),
            least=0.0,
        ),
    )


def _recovery() -> tuple[Panel, ...]:
    return (
        lines(
            8,
            "Time without work",
            "From an assignment until work went on: the last time, and all of a step of the picture together.",
            "s",
            (_each("cx_ready_seconds"), "{{instance}} last"),
            (_increase("cx_assignment_seconds_total"), "{{instance}} together"),
            (
                f"{_increase('cx_assignment_seconds_total')} / clamp_min({_increase('cx_assignments_total')}, 1)",
                "{{instance}} each",
            ),
            least=0.0,
        ),
        lines(
            8,
            "Recovery",
            "Offsets of the changelog that are still to be read, and rows read: a worker is ready soon after 0.",
            "short",
            (_each("cx_recovery_left_offsets"), "{{instance}} still to read"),
            (_increase("cx_recovery_rows_total"), "{{instance}} rows read"),
            least=0.0,
        ),
    )


def _machine() -> tuple[Panel, ...]:
    lag = rate("cx_loop_lag_seconds_bucket", "instance, le")
    return (
        lines(
            6,
            "Event loop lag, 99 of 100",
            "How late callbacks come: heartbeats and commits wait behind it.",
            "s",
            (f"histogram_quantile(0.99, {lag})", "{{instance}}"),
            least=0.0,
            steps=((1.0, "red"),),
        ),
        lines(
            6,
            "CPU",
            "Cores used.",
            "short",
            (_rate("process_cpu_seconds_total"), "{{instance}}"),
            least=0.0,
        ),
        lines(
            6,
            "Memory",
            "Resident memory; the table is most of it.",
            "bytes",
            (_each("process_resident_memory_bytes"), "{{instance}} all"),
            (_each("cx_table_bytes"), "{{instance}} rows"),
            least=0.0,
        ),
        lines(
            6,
            "Garbage collection",
            "Full collections: each walks over everything that was not frozen.",
            "ops",
            (_rate("python_gc_collections_total", 'generation="2"'), "{{instance}}"),
            least=0.0,
        ),
        lines(
            6,
            "Queue",
            "Bytes fetched and not applied yet.",
            "bytes",
            (_each("cx_queue_bytes"), "{{instance}}"),
            least=0.0,
        ),
    )


def _table() -> tuple[Panel, ...]:
    # After a rebalance two workers may show one partition for a moment.
    moved = f"max by (topic, partition) (rate(cx_input_offsets_total{{{WORKER}}}[$__rate_interval]))"
    became = f"max by (outcome, partition) (rate(cx_records_total{{{WORKER}}}[$__rate_interval]))"
    return (
        stack(
            6,
            "Customers by partition",
            "Rows in memory. Partitions of unlike size mean a key that is not spread.",
            "short",
            (f"max by (partition) (cx_customers{{{WORKER}}})", "{{partition}}"),
        ),
        lines(
            6,
            "Sweep: customers visited",
            "Silence and deadlines make no event: the sweep finds them.",
            "ops",
            (_rate("cx_swept_customers_total"), "{{instance}}"),
            least=0.0,
        ),
        lines(
            6,
            "Sweep: last whole pass",
            "How long it took, and how long ago it ended; longer than the interval: too many customers.",
            "s",
            (f"max by (instance) (cx_sweep_pass_seconds{{{WORKER}}})", "{{instance}} took"),
            (f"max by (instance) (cx_sweep_age_seconds{{{WORKER}}})", "{{instance}} ago"),
            (f"60 + max(cx_sweep_interval_seconds{{{WORKER}}})", "promised"),
            least=0.0,
        ),
        lines(
            12,
            "Customers of an earlier policy",
            "Rows whose older events still count with other weights.",
            "short",
            (_each("cx_customers_other_policy"), "{{instance}}"),
            least=0.0,
        ),
        lines(
            12,
            "Applied offsets by topic, and what became of them",
            "From the partitions' markers, exact through crashes. Every offset has one outcome: what has none "
            "stops the worker.",
            "ops",
            (f"sum by (topic) ({moved})", "{{topic}}"),
            (f"sum by (outcome) ({became})", "{{outcome}}"),
            (f"sum({moved}) - sum({became})", "without an outcome"),
            least=0.0,
        ),
    )


def internals() -> Board:
    """Return the dashboard."""
    panels = (*_figures(), *_transactions(), *_recovery(), *_machine(), *_table())
    return Board("cx-internals", "What is the machine doing?", panels)
