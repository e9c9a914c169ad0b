"""The agents: what a worker does with the chunks of each input, and with time."""

from collections.abc import AsyncIterable
from typing import Any

from streams.engine.bundling import Bundle
from streams.engine.lane import Lane
from streams.engine.schema import LaneSchema


def register(app: Any, lane: Lane) -> None:
    """Give `app` an agent per input topic, and the sweep."""

    async def take(bundles: AsyncIterable[Bundle]) -> None:
        # The lane gathers chunks of one partition into a transaction; scoring happens there, in the handler.
        async for bundle in bundles:
            for chunk in bundle:
                lane.submit(chunk)

    # One by one: `faust agents` crashes on a channel of several topics.
    for name in lane.settings.inputs:
        # Without acks: they would say nothing (the marker does), and cost a book of every message.
        topic = app.topic(name, schema=LaneSchema(), internal=False, acks=False)
        app.agent(topic, name=name)(take)

    @app.task  # type: ignore[untyped-decorator]  # Faust is untyped
    async def sweep() -> None:
        """Look at every customer once per interval: silence and missed deadlines make no event."""
        await lane.sweep_forever()
