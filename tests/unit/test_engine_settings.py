"""What the engine is told of the worker's settings."""

from dataclasses import fields
from typing import Any, Final

from streams.engine.settings import EngineSettings, engine_settings
from streams.settings import Settings

TOLD: Final[dict[str, Any]] = {
    "bootstrap_servers": "broker:9092",
    "app_id": "shop",
    "replication_factor": 3,
    "clock": "event",
    "sweep_interval_s": 60.0,
    "session_timeout_s": 20.0,
    "heartbeat_interval_s": 2.0,
    "rebalance_timeout_s": 40.0,
    "transaction_timeout_s": 25.0,
    "static_id": "worker-1",
    "chunk_records": 100,
    "chunk_bytes": 1 << 20,
    "queue_bytes": 2 << 20,
}


def test_a_setting_that_both_have_is_the_same_in_both():
    """One that stayed at the engine's own default would be without effect: one copy of a state, not three."""
    both = {each.name for each in fields(EngineSettings)} & {each.name for each in fields(Settings)}
    engine = engine_settings(Settings(**TOLD))

    assert both == TOLD.keys()
    assert {name: getattr(engine, name) for name in both} == TOLD
