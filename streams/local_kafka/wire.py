"""The two questions asked of a port before anything is started on it: is it free, and is Kafka there."""

import errno
import secrets
import socket
import struct
from contextlib import suppress

from streams.errors import CxError

LOOPBACK = "127.0.0.1"
SERVER_PORTS = range(20_000, 32_000)
PROBE_TIMEOUT_S = 1.0
METADATA_KEY, METADATA_VERSION = 3, 1
_NO_TOPICS = struct.pack(">i", 0)
MAX_REPLY_BYTES = 1 << 20
_given: set[int] = set()


def free_port() -> int:
    """Return a TCP port on which nothing listens now, another one at each call.

    It lies below the ports that systems give to outgoing connections: a client that tries again and again to
    reach a stopped broker would else, sooner or later, be given the broker's own port.
    """
    for port in secrets.SystemRandom().sample(SERVER_PORTS, len(SERVER_PORTS)):
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    msg = f"no port from {SERVER_PORTS.start} to {SERVER_PORTS.stop - 1} is free"
    raise CxError(msg, mend="stop some of the servers on this machine")


def is_free(port: int) -> bool:
    """Tell whether a server could bind `port` on the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
        return True


def live_brokers(port: int, *, timeout_s: float = PROBE_TIMEOUT_S) -> frozenset[int]:
    """Return the ids of the brokers that the broker on `port` knows to be alive; empty where none answers.

    A broker accepts connections before the controller lets it serve; only when it is in its own metadata
    can a topic be created on it.
    """
    with suppress(OSError, struct.error):
        return _ask(port, timeout_s)
    return frozenset()


def _ask(port: int, timeout_s: float) -> frozenset[int]:
    header = struct.pack(">hhih", METADATA_KEY, METADATA_VERSION, 1, -1)
    request = header + _NO_TOPICS
    with socket.create_connection((LOOPBACK, port), timeout=timeout_s) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", _read(connection, 4))
        return _broker_ids(_read(connection, min(size, MAX_REPLY_BYTES)))


def _read(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise ConnectionResetError(errno.ECONNRESET, "closed in the middle of a reply")
        data += chunk
    return bytes(data)


def _broker_ids(reply: bytes) -> frozenset[int]:
    ids, at = set(), 8  # behind the correlation id and the count of brokers
    for _ in range(struct.unpack_from(">i", reply, 4)[0]):
        node_id, host_length = struct.unpack_from(">ih", reply, at)
        at += 6 + host_length + 4  # host, port
        (rack_length,) = struct.unpack_from(">h", reply, at)
        at += 2 + max(rack_length, 0)
        ids.add(node_id)
    return frozenset(ids)
