"""What can go wrong inside the engine.

EngineError
├── Lost              this process may not write the partition any more; the log is right, memory is dropped
│   ├── OldSession    a chunk of before the last rebalance
│   ├── SequenceHole  a chunk that is not the next one: records between were dropped on the way
│   ├── Rewound       a chunk that starts below the marker: the client moved its position by itself
│   └── Fenced        the broker refused the transaction: another process owns the partition
├── OutOfRange        the input no longer holds what the marker stands at: only a person can decide
└── Inconsistent      the counts do not equal the offsets moved: a bug, never to be written
"""


class EngineError(Exception):
    """Base of the engine's own errors."""


class Lost(EngineError):  # noqa: N818  # what happened, in the words of the design
    """The partition has to be loaded from the log again before it is worked on."""


class OldSession(Lost):
    """A chunk was fetched before the last rebalance."""


class SequenceHole(Lost):
    """A chunk is not the successor of the last one applied."""


class Rewound(Lost):
    """A chunk starts below the marker."""


class Fenced(Lost):
    """The broker refused a transaction because another process took the partition over."""


class OutOfRange(EngineError):  # noqa: N818  # as above
    """The position of an input cannot be read on from: records expired, or the topic was made anew.

    Or the partition must not be worked on at all for now. `mend` is the way out, as a command.
    """

    def __init__(self, topic: str, partition: int, reason: str, mend: str = "") -> None:
        super().__init__(f"{topic}[{partition}]: {reason}")
        self.topic = topic
        self.partition = partition
        self.reason = reason
        self.mend = mend or f"cx topics adopt {topic}"


class Inconsistent(EngineError):  # noqa: N818  # as above
    """The outcomes counted do not add up to the offsets moved (guarantee G4)."""
