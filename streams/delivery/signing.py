"""Signatures of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, one for each secret that is valid.

    headers = sign("msg_1", 1_790_000_000, b"{}", secrets)

To change a secret, put the new one first and keep the old one until the receiver knows the new one. The
receiver accepts a message of which any signature fits.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from streams.errors import CxError, Exit
from streams.settings import read_secret

PREFIX: Final = "whsec_"
LEAST_BYTES: Final = 24
MOST_BYTES: Final = 64
NEW_KEY: Final = '(umask 077; echo "whsec_$(openssl rand -base64 32)" > FILE)'


class Key:
    """A secret that signs; no print shows it."""

    __slots__ = ("_bytes",)

    def __init__(self, secret: bytes) -> None:
        self._bytes = secret

    def __repr__(self) -> str:
        return "Key(***)"

    def signature(self, content: bytes) -> str:
        """Return the signature of `content` in the form of the header."""
        digest = hmac.new(self._bytes, content, hashlib.sha256).digest()
        return "v1," + base64.b64encode(digest).decode()


def read_key(path: str) -> Key:
    """Return the key in a file: `whsec_` and base64 of 24 to 64 bytes. Raises `CxError` that shows none."""
    text = read_secret(path)
    try:
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not text.startswith(PREFIX) or not LEAST_BYTES <= len(secret) <= MOST_BYTES:
        msg = f"{path} holds no key of a webhook: {PREFIX} and base64 of {LEAST_BYTES} to {MOST_BYTES} bytes"
        raise CxError(msg, mend=NEW_KEY.replace("FILE", path), code=Exit.USAGE)
    return Key(secret)


def sign(message_id: str, timestamp_s: int, body: bytes, keys: Sequence[Key]) -> dict[str, str]:
    """Return the headers of a signed message; without a key there is no signature among them."""
    headers = {"webhook-id": message_id, "webhook-timestamp": str(timestamp_s)}
    if keys:
        content = f"{message_id}.{timestamp_s}.".encode() + body
        headers["webhook-signature"] = " ".join(key.signature(content) for key in keys)
    return headers
