"""The Faust application: the only place that makes one.

`faust -A streams.app worker --without-web` works on the settings of the environment; `cx worker` builds its
own.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import faust

from streams import agents
from streams.engine import transport
from streams.engine.handler import Handler
from streams.engine.hugepages import use_huge_pages
from streams.engine.lane import Lane
from streams.engine.loop import install_uvloop
from streams.engine.monitor import LaneMonitor
from streams.engine.recovery import LaneTableManager
from streams.engine.settings import EngineSettings, engine_settings
from streams.engine.table import LaneTable
from streams.engine.versions import check_seams
from streams.errors import CxError, Exit
from streams.settings import Settings, load_settings
from streams.topics import COMPACTED, TABLE

BUFFERED_CHUNKS = 16
"""Messages here carry chunks: Faust's default of 4096 would hold gigabytes."""
COMMIT_INTERVAL_S = 2.0
REQUEST_TIMEOUT_S = 90.0


def build_app(
    settings: Settings,
    *,
    handler: Handler | None = None,
    on_fatal: Callable[[BaseException], None] | None = None,
) -> Any:
    """Return the application for `settings`, ready to be run by a worker.

    `handler` defaults to the product's own. `on_fatal` is called instead of ending the process when going on
    could lose or double events. The engine is `app.lane`. Raises `CxError` where Faust or aiokafka are not
    the versions that the engine was checked against.
    """
    check_seams()
    transport.register()
    engine = engine_settings(settings)
    app = _faust_app(settings, engine)
    app.lane = Lane(app, engine, handler or _processor(settings), on_fatal=on_fatal)
    app.Table(
        TABLE,
        partitions=settings.partitions,
        key_type=bytes,
        value_type=bytes,
        extra_topic_configs=COMPACTED,
    )
    agents.register(app, app.lane)
    return app


def make_data_folder(settings: Settings) -> None:
    """Make the folder that Faust wants: its own failure would look like one of the work.

    Raises `CxError` (exit code 2) where it cannot be made.
    """
    folder = _data_folder(settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"the folder {folder.absolute()} for Faust's own files cannot be made: {error.strerror}"
        mend = "set CX_DATA_DIR to a folder that this user may write to"
        raise CxError(msg, mend=mend, code=Exit.USAGE) from error


def _data_folder(settings: Settings) -> Path:
    return Path(settings.data_dir or f"{settings.app_id}-data")


def _processor(settings: Settings) -> Handler:
    from streams.processing import build_processor  # noqa: PLC0415  # tests of the engine bring their own

    return build_processor(settings)


def _faust_app(settings: Settings, engine: EngineSettings) -> Any:
    return faust.App(
        settings.app_id,
        broker=[f"{transport.SCHEME}://{server}" for server in settings.bootstrap_servers.split(",")],
        store="memory://",
        version=1,
        datadir=_data_folder(settings),
        autodiscover=False,
        # Both serve every customer's row to anybody who asks; health and metrics have a server of their own.
        web_enabled=False,
        web_tables_enabled=False,
        web_router_enabled=False,
        web_bind="127.0.0.1",
        web_host="127.0.0.1",
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication_factor,
        topic_allow_declare=True,
        topic_disable_leader=True,
        stream_buffer_maxsize=BUFFERED_CHUNKS,
        stream_wait_empty=True,
        table_standby_replicas=0,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.heartbeat_interval_s,
        broker_rebalance_timeout=settings.rebalance_timeout_s,
        broker_request_timeout=max(REQUEST_TIMEOUT_S, settings.session_timeout_s + 1),
        broker_commit_interval=COMMIT_INTERVAL_S,
        broker_commit_every=None,
        broker_max_poll_records=engine.transaction_records,
        consumer_auto_offset_reset="earliest",
        Monitor=LaneMonitor,
        Table=LaneTable,
        TableManager=LaneTableManager,
    )


def _build_for_faust(settings: Settings) -> Any:
    """Return the application for Faust's own command, with metrics and health as `cx worker` has them."""
    from streams.observe.service import attach  # noqa: PLC0415  # tests of the engine have no use for it
    from streams.processing import build_processor  # noqa: PLC0415  # as above

    processor = build_processor(settings)
    app = build_app(settings, handler=processor)
    attach(app, settings, processor)
    return app


_app: Any = None


def __getattr__(name: str) -> Any:
    """Build `app` when it is first asked for: importing this module reads no settings."""
    if name != "app":
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    global _app  # noqa: PLW0603  # one application per process, as Faust's CLI wants it
    if _app is None:
        use_huge_pages()
        install_uvloop()
        _app = _build_for_faust(load_settings())
    return _app
