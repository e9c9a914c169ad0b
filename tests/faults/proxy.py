"""A TCP proxy with a bad day: slow, resetting, or half-open."""

import asyncio
import contextlib
import struct
from collections.abc import Callable
from socket import SO_LINGER, SOL_SOCKET

CHUNK = 1 << 14
RST = struct.pack("ii", 1, 0)  # linger on, for no time: close sends a reset


class Proxy:
    """Forwards connections from `port` to `target`; what it does to them can be changed at any time."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.target = target
        self.delay_s = 0.0
        """Wait before each piece is forwarded."""
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Close everything."""
        self.mend()
        if self._server is not None:
            self._server.close()
        self.reset()
        await asyncio.sleep(0)

    def slow(self, delay_s: float) -> None:
        """Forward each piece after a while."""
        self.delay_s = delay_s

    def reset(self) -> int:
        """Reset every connection; return how many there were."""
        count = len(self._writers)
        for writer in list(self._writers):
            writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, RST)
            writer.transport.abort()
        return count // 2

    def hang(self) -> None:
        """Forward nothing any more, and close nothing: the other side cannot tell."""
        self._open.clear()

    def mend(self) -> None:
        """Be a good proxy again."""
        self.delay_s = 0.0
        self._open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, far_writer}
        close = self._closing(writer, far_writer)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._pump(reader, far_writer, close))
            both.create_task(self._pump(far_reader, writer, close))

    def _closing(self, *writers: asyncio.StreamWriter) -> Callable[[], None]:
        def close() -> None:
            for writer in writers:
                self._writers.discard(writer)
                writer.close()

        return close

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, close: Callable[[], None]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await asyncio.sleep(self.delay_s)
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        close()
