"""Several brokers on one machine."""

from pathlib import Path
from types import TracebackType
from typing import Self

from streams.local_kafka.find import Runtime, locate
from streams.local_kafka.node import LocalKafka
from streams.local_kafka.wire import free_port


class LocalCluster:
    """Several brokers on one machine, each also a controller: what a fault test takes apart."""

    def __init__(self, data_dir: Path, *, nodes: int = 3, runtime: Runtime | None = None) -> None:
        runtime = runtime or locate()
        voters = {node: free_port() for node in range(1, nodes + 1)}
        self.nodes = tuple(
            LocalKafka(data_dir / f"node-{node}", node_id=node, voters=voters, runtime=runtime)
            for node in voters
        )

    @property
    def bootstrap_servers(self) -> str:
        """Return the addresses of all nodes, comma-separated."""
        return ",".join(node.bootstrap_servers for node in self.nodes)

    def node(self, node_id: int) -> LocalKafka:
        """Return the node that calls itself `node_id`, as leaders are named in metadata."""
        return next(node for node in self.nodes if node.node_id == node_id)

    def start(self) -> None:
        """Start all nodes and return when every one serves."""
        try:
            for node in self.nodes:
                node.launch()
            for node in self.nodes:
                node.wait_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop all nodes."""
        for node in self.nodes:
            # Without a quorum a controlled shutdown cannot end: the last nodes would wait for their time-out.
            node.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
