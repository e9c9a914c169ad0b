"""Who is heard when more ask than there are threads for: the silent are turned away first, probes never.

What a connection wants is known only when its request was read. Until then it waits among at most `most`; one
more, and the one that has been silent longest is turned away. A probe asks at once, so it is heard however
many connections are opened and left silent. Answers have slots of their own, and those of the open paths are
apart: slow readers of other paths cannot take them.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

C = TypeVar("C")


class Gate(Generic[C]):
    """Bounds the connections `C` of one server; every method may be called from any thread."""

    def __init__(self, most: int, most_open: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._waiting: dict[C, None] = {}
        """Connections whose request was not read yet, the oldest first."""
        # Those who were turned away need a moment to end: an equal number of threads for that.
        self._threads = threading.BoundedSemaphore(3 * most + most_open)
        self._slots = {
            False: threading.BoundedSemaphore(most),
            True: threading.BoundedSemaphore(most_open),
        }

    def enter(self, connection: C) -> tuple[bool, C | None]:
        """Let a new connection wait for its request: False if there is no thread for it.

        The other value is the connection to be shut for it, if any.
        """
        if not self._threads.acquire(blocking=False):
            return False, None
        with self._lock:
            oldest = next(iter(self._waiting)) if len(self._waiting) >= self._most else None
            if oldest is not None:
                del self._waiting[oldest]
            self._waiting[connection] = None
        return True, oldest

    def asked(self, connection: C) -> bool:
        """Hear that a request was read; False if its connection has been turned away meanwhile."""
        with self._lock:
            if connection not in self._waiting:
                return False
            del self._waiting[connection]
            return True

    def leave(self, connection: C) -> None:
        """Hear that the thread of an entered connection ends."""
        with self._lock:
            self._waiting.pop(connection, None)
        self._threads.release()

    @contextmanager
    def slot(self, *, is_open: bool) -> Iterator[bool]:
        """Hold a slot for an answer; gives False where none is free."""
        slots = self._slots[is_open]
        free = slots.acquire(blocking=False)
        try:
            yield free
        finally:
            if free:
                slots.release()
