"""A stand-in for `java` in tests without one: it formats a folder and answers as a broker with one node.

The environment steers it: FAKE_FORMAT=fail, FAKE_BOOT=fail|deaf|stubborn.
"""

import os
import signal
import socket
import struct
import sys
from pathlib import Path


def properties(path: str) -> dict[str, str]:
    """Return the content of a Java properties file."""
    return dict(line.split("=", 1) for line in Path(path).read_text().splitlines())


def reply(node_id: int) -> bytes:
    """Return a Metadata reply (version 1) with one broker."""
    host = b"127.0.0.1"
    body = struct.pack(f">iiih{len(host)}sih", 1, 1, node_id, len(host), host, 0, -1) + struct.pack(
        ">ii", 1, 0
    )
    return struct.pack(">i", len(body)) + body


def serve(config: dict[str, str]) -> None:
    """Answer every request until the end."""
    port = int(config["listeners"].split(",")[0].rsplit(":", 1)[1])
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(reply(int(config["node.id"])))


def main() -> None:
    """Do what the arguments ask for."""
    arguments, boot = sys.argv[1:], os.environ.get("FAKE_BOOT", "")
    if arguments == ["-version"]:
        sys.stderr.write('openjdk version "21.0.1"\n')
        return
    if "kafka.tools.StorageTool" in arguments:
        if os.environ.get("FAKE_FORMAT") == "fail":
            sys.exit("Invalid cluster.id in: meta.properties")
        data = Path(properties(arguments[-1])["log.dirs"])
        data.mkdir(parents=True)
        (data / "meta.properties").touch()
        return
    if boot == "fail":
        sys.exit("FATAL Exiting Kafka due to fatal exception")
    if boot == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while boot == "deaf":
        signal.pause()
    serve(properties(arguments[-1]))


main()
