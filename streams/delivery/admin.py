"""Metrics and health of a running delivery, served as a worker's are."""

import time
from http import HTTPStatus
from urllib.parse import urlsplit

from streams.delivery.figures import Figures
from streams.delivery.service import Health
from streams.observe.answers import Answer, failure
from streams.observe.server import LoopServer
from streams.settings import Settings


class DeliveryServer(LoopServer):
    """Serves one delivery: /metrics, /healthz and /readyz."""

    who = "the delivery"
    command = "cx deliver"
    port_setting = "deliver_metrics_port"

    def __init__(self, settings: Settings, figures: Figures, health: Health) -> None:
        self._health = health
        self._most_silent_s = settings.ready_lag_s
        super().__init__(settings, figures.registry)

    def answer(self, path: str) -> Answer:
        """Return what is answered to GET `path`, but for /metrics."""
        where = urlsplit(path).path
        if where == "/healthz":
            self.ask(lambda: None)
            return Answer(HTTPStatus.OK, {"status": "ok"})
        if where == "/readyz":
            return self.ask(self._ready)
        return failure(HTTPStatus.NOT_FOUND, "there are /metrics, /healthz and /readyz")

    def _ready(self) -> Answer:
        health, most_s = self._health, self._most_silent_s
        document = {"ready": health.joined, "partitions": list(health.partitions), "paused": health.paused}
        silent_s = 0.0 if health.answered_s is None else time.time() - health.answered_s
        if most_s and silent_s > most_s:
            document |= {"ready": False, "broker_silent_s": round(silent_s, 1), "most_silent_s": most_s}
        return Answer(HTTPStatus.OK if document["ready"] else HTTPStatus.SERVICE_UNAVAILABLE, document)
