"""Metrics of the engine: how far behind it is, and what it does."""

from typing import Final

from streams.observe.metrics.metric import NOW, WORKER, Metric, counter, gauge, histogram

ENGINE: Final[tuple[Metric, ...]] = (
    # How far behind.
    gauge(
        "cx_lag_records", NOW, "topic partition", "Offsets not applied yet, as of the last fetch.", "records"
    ),
    gauge(
        "cx_lag_seconds",
        NOW,
        "topic partition",
        "Age of the last record applied (without one, of the worker); 0 where everything is applied.",
        "seconds",
    ),
    gauge(
        "cx_watermark_timestamp_seconds",
        NOW,
        "partition",
        "Time up to which every input was read.",
        "unix time",
    ),
    gauge(
        "cx_newest_event_timestamp_seconds",
        WORKER,
        "channel",
        "Newest event time applied from a channel.",
        "unix time",
    ),
    # The engine.
    counter(
        "cx_transactions_total",
        WORKER,
        "result",
        "Transactions committed, or failed: those are done again from the log.",
        "transactions",
    ),
    counter(
        "cx_commit_seconds_total",
        WORKER,
        "",
        "Time spent in transactions, summed over partitions that commit at the same time.",
        "seconds",
    ),
    counter("cx_rows_written_total", WORKER, "", "Rows written to the changelog.", "rows"),
    counter(
        "cx_changelog_bytes_total", WORKER, "", "Bytes of keys and rows written to the changelog.", "bytes"
    ),
    counter("cx_compute_seconds_total", WORKER, "", "Time spent in decoding and scoring.", "seconds"),
    histogram(
        "cx_loop_lag_seconds",
        WORKER,
        "",
        "How late the worker's event loop called back, asked four times a second.",
    ),
    counter(
        "cx_fenced_total",
        WORKER,
        "",
        "Transactions refused because another process took over.",
        "transactions",
    ),
    counter("cx_heals_total", WORKER, "", "Times that lost partitions were loaded again.", "times"),
    counter("cx_rebalances_total", WORKER, "", "Rebalances of the consumer group.", "times"),
    counter("cx_refused_chunks_total", WORKER, "", "Chunks refused: out of sequence, or too old.", "chunks"),
    counter(
        "cx_kept_partitions_total",
        WORKER,
        "",
        "Partitions that kept their memory over a rebalance.",
        "partitions",
    ),
    counter("cx_recovery_rows_total", WORKER, "", "Records of the changelog read to recover.", "rows"),
    gauge(
        "cx_recovery_left_offsets",
        NOW,
        "",
        "Offsets of the changelog that a recovery has still to read; compaction has left fewer rows.",
        "offsets",
    ),
    counter("cx_recovery_seconds_total", WORKER, "", "Time spent reading the changelog.", "seconds"),
    gauge("cx_ready_seconds", NOW, "", "Time from the last assignment until work went on.", "seconds"),
    counter("cx_assignments_total", WORKER, "", "Assignments after which work went on.", "times"),
    counter(
        "cx_assignment_seconds_total",
        WORKER,
        "",
        "Time from an assignment until work went on, summed over these; a partition was lost or stopped, or "
        "the group rebalanced.",
        "seconds",
    ),
    counter(
        "cx_out_of_range_total",
        WORKER,
        "",
        "Times that an input could not be read on from its marker.",
        "times",
    ),
    gauge("cx_queue_bytes", NOW, "partition", "Bytes fetched and not applied yet.", "bytes"),
    gauge("cx_partition_ready", NOW, "partition", "1 while the partition is worked on, else 0.", "boolean"),
    gauge(
        "cx_partition_stopped",
        NOW,
        "partition",
        "1 while the partition waits for a person (`cx topics adopt`), else 0.",
        "boolean",
    ),
    gauge("cx_ready", NOW, "", "1 while every partition assigned is worked on, else 0.", "boolean"),
    gauge("cx_build_info", NOW, "version policy_version", "1; the program and the policy.", "boolean"),
)
