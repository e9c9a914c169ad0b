"""Metrics and health for a worker that Faust's own command runs: `faust -A streams.app worker --without-web`.

`--without-web` (or a `--web-port` of its own) keeps Faust's web server, which we have no use for, from taking
a port. The service starts when the tables are recovered; `cx worker` answers from the first moment on.
"""

import asyncio
from typing import Any

from mode import Service

from streams.engine.preflight import check_cluster
from streams.observe.server import AdminServer
from streams.observe.watch import Observed, Watch
from streams.settings import Settings


def attach(app: Any, settings: Settings, observed: Observed) -> None:
    """Have `app` serve metrics and health while it runs."""

    class Admin(Service):  # type: ignore[misc]  # mode is untyped
        """The admin server as a part of the application."""

        server: AdminServer | None = None

        async def on_start(self) -> None:
            observed.partitions = await check_cluster(app.lane.settings)
            self.server = AdminServer(settings, Watch(observed, app.lane))
            self.server.start(asyncio.get_running_loop())

        async def on_stop(self) -> None:
            if self.server is not None:
                self.server.stop()

    app.service(Admin)
