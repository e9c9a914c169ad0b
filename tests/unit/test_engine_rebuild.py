"""What a rebuild refuses before it touches anything; the rest is tested on a real Kafka."""

import pytest

from streams.engine.handler import Counts, Effects
from streams.engine.marker import Marker, Position
from streams.engine.rebuild import Orders, _refuse_losses, rebuild
from streams.engine.settings import EngineSettings
from streams.errors import CxError
from streams.local_kafka.wire import free_port


def marker(origin: int, moved: int) -> Marker:
    """Return a marker that counted `moved` records of the web from `origin` on."""
    return Marker(2, "g", {"web": Position(origin + moved, origin)}, Counts(accepted=moved), 1)


def test_records_deleted_since_are_not_forgotten_in_silence() -> None:
    """Retention took what the rows have counted: the loss is named by input, and only a flag accepts it."""
    starts = {0: {"web": Position(40, 40)}, 1: {"web": Position(0, 0)}}
    with pytest.raises(CxError, match=r"web\[0\]: 30 records") as caught:
        _refuse_losses({0: marker(10, 100), 1: marker(0, 5)}, starts)
    assert "--accept-loss" in caught.value.mend


def test_what_was_deleted_before_it_was_counted_is_no_loss() -> None:
    """A table that began in mid-topic can be rebuilt from there, and a new input has no past."""
    _refuse_losses({0: marker(10, 100)}, {0: {"web": Position(10, 10), "store": Position(7, 7)}})


async def test_a_broker_that_fails_leaves_a_rebuild_to_be_taken_up() -> None:
    """The way on is named; nothing is said of a bug."""
    settings = EngineSettings(bootstrap_servers=f"127.0.0.1:{free_port()}", app_id="app", inputs=("web",))

    async def settle(*_: object) -> Effects:
        return Effects()

    orders = Orders(None, settle, lambda _: False, len, lambda _: None)  # type: ignore[arg-type]  # never reached
    with pytest.raises(CxError, match="broken off") as caught:
        await rebuild(settings, orders)
    assert "goes on where it was" in caught.value.mend
