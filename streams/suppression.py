"""Forgotten customers: their rows, scores and alerts go, and what still arrives of them is kept out.

A forgotten customer is remembered by a row of the changelog whose key is an HMAC of the id: whoever reads the
changelog without the key cannot tell who it is. It lies in the customer's own partition and is written in the
transaction that removes everything else, so a replay of older events cannot bring the customer back.
"""

import hashlib
import hmac
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.codec import RESERVED_PREFIX
from schemas.families.customers import CustomerForgotten
from streams.errors import CxError, Exit
from streams.scoring.cases import alert_id
from streams.scoring.rules import Rule
from streams.scoring.state import CustomerState
from streams.settings import Settings, read_secret

PREFIX: Final = RESERVED_PREFIX + b"cx-forgotten"
GUARD: Final = PREFIX
"""Key of the row that says by which key the forgotten are remembered; there once anybody was forgotten."""
FORGOTTEN: Final = b"\x01"
"""Value of a forgotten customer's row: an empty one would be a tombstone."""
LEAST_KEY_CHARACTERS: Final = 16
MEND: Final = (
    "(umask 077; openssl rand -hex 32 > forget.key), and set CX_FORGET_KEY_FILE=forget.key everywhere"
)


@dataclass(frozen=True, slots=True)
class Suppression:
    """How the forgotten are remembered. `secret` is empty where no key was given: then nobody is."""

    secret: bytes = field(default=b"", repr=False)

    def row_key(self, customer: bytes) -> bytes:
        """Return the key of the row that remembers `customer` (the record's key) as forgotten."""
        return PREFIX + b":" + self._mac(b"customer", customer)

    @property
    def guard(self) -> bytes:
        """Return the value of the guard's row: it changes with the secret, and does not tell it."""
        return self._mac(b"guard", b"")

    def proof(self, customer: str, event_id: str, alert_ids: tuple[str, ...]) -> str:
        """Return what shows that whoever wants `customer` forgotten holds the key (64 hexadecimal digits)."""
        return self._mac(b"request", "\x00".join((customer, event_id, *alert_ids)).encode()).hex()

    def accepts(self, event: CustomerForgotten) -> bool:
        """Tell whether the request was made with this key."""
        if not self.secret:
            return False
        wanted = self.proof(event.subject or "", event.id, event.data.alert_ids)
        return hmac.compare_digest(event.data.proof, wanted)

    def is_active(self, rows: Mapping[bytes, bytes]) -> bool:
        """Tell whether anybody is forgotten in a partition.

        Raises `CxError` where they are remembered by a key that is not ours: they would come back.
        """
        guard = rows.get(GUARD)
        if guard is None:
            return False
        if not self.secret or guard != self.guard:
            msg = "customers were forgotten here, and forget_key_file names " + (
                "another key than theirs" if self.secret else "no key"
            )
            mend = "set CX_FORGET_KEY_FILE to the key they were forgotten with: else they come back"
            raise CxError(msg, mend=mend, code=Exit.STOPPED)
        return True

    def _mac(self, purpose: bytes, what: bytes) -> bytes:
        return hmac.digest(self.secret, purpose + b"\x00" + what, hashlib.sha256)


def build_suppression(settings: Settings) -> Suppression:
    """Return how `settings` remember the forgotten; raises `CxError` for a key that can be guessed."""
    secret = read_secret(settings.forget_key_file)
    if settings.forget_key_file and len(secret) < LEAST_KEY_CHARACTERS:
        short = f"has {len(secret)} characters, fewer than {LEAST_KEY_CHARACTERS}"
        msg = f"the key in {settings.forget_key_file} {short}"
        raise CxError(msg, mend=MEND, code=Exit.USAGE)
    return Suppression(secret.encode())


def is_reserved(key: bytes) -> bool:
    """Tell whether a row of the table is no customer's."""
    return key.startswith(RESERVED_PREFIX)


class Forgetting:
    """The forgotten in one unit of work on a partition, whose committed `rows` are never changed here."""

    __slots__ = ("_gone", "_rows", "_suppression", "active")

    def __init__(self, suppression: Suppression, rows: Mapping[bytes, bytes]) -> None:
        self._suppression = suppression
        self._rows = rows
        self._gone: set[bytes] = set()
        self.active = suppression.is_active(rows)
        """Anybody is forgotten in this partition: else nobody needs to be looked up."""

    def holds(self, customer: bytes, touched: Container[bytes]) -> bool:
        """Tell whether `customer` is forgotten; who has a row, or is `touched` by this work, is not."""
        if customer in self._gone:
            return True
        if customer in touched or customer in self._rows:
            return False
        return self._suppression.row_key(customer) in self._rows

    def forget(self, customer: bytes) -> Mapping[bytes, bytes | None]:
        """Return the rows to write so that `customer` is forgotten.

        Without a row there is no tombstone: it would bring the id back into the log.
        """
        rows: dict[bytes, bytes | None] = {customer: None} if customer in self._rows else {}
        rows |= {GUARD: self._suppression.guard, self._suppression.row_key(customer): FORGOTTEN}
        self._gone.add(customer)
        self.active = True
        return rows


def alerts_of(event: CustomerForgotten, state: CustomerState | None, generation: str) -> Iterator[str]:
    """Yield the ids of the customer's alerts: those found by who asked, and those that the row knows of.

    The row knows what was written after the asking; the asking knows what rows of earlier generations wrote.
    """
    known = dict.fromkeys(event.data.alert_ids)
    for number, episode in (state.episodes if state else {}).items():
        for each in range(1, episode.number + 1):
            known[alert_id(generation, event.subject or "", Rule(number), each)] = None
    yield from known
