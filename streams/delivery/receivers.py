"""Receivers: endpoints of the routes file with what their files hold, read once at the start."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from streams.delivery.routes import Endpoint, Routes, url_problem
from streams.delivery.signing import Key, read_key
from streams.errors import CxError, Exit
from streams.settings import read_secret


class Url:
    """An address; its path may be a secret, so that a print shows the host only."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"Url({self})"

    def __str__(self) -> str:
        parts = urlsplit(self.text)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}/..."


@dataclass(frozen=True, slots=True)
class Receiver:
    """An endpoint that can be sent to."""

    name: str
    endpoint: Endpoint
    url: Url
    keys: Sequence[Key] = field(default=(), repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    """None for an address without encryption."""


def read_receivers(routes: Routes, folder: Path) -> dict[str, Receiver]:
    """Return the receivers by name; files are named from `folder`. Raises `CxError` for a bad one."""
    return {name: _receiver(name, endpoint, folder) for name, endpoint in routes.endpoints.items()}


def _receiver(name: str, endpoint: Endpoint, folder: Path) -> Receiver:
    url = endpoint.url
    if endpoint.url_file:
        url = read_secret(str(folder / endpoint.url_file))
        if problem := url_problem(url, allow_http=endpoint.allow_http):
            msg = f"the address in {endpoint.url_file} {problem}"
            raise CxError(msg, mend=f"mend {endpoint.url_file}, of endpoints.{name}", code=Exit.USAGE)
    keys = tuple(read_key(str(folder / each)) for each in endpoint.key_files)
    encrypted = urlsplit(url).scheme == "https"
    context = _tls(str(folder / endpoint.ca_file) if endpoint.ca_file else None) if encrypted else None
    return Receiver(name, endpoint, Url(url), keys, context)


def _tls(ca_file: str | None) -> ssl.SSLContext:
    """Return a context that checks the receiver's certificate and name."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # SSLError is one
        msg = f"the file of authorities {ca_file} cannot be used: {error.strerror or error}"
        raise CxError(msg, mend=f"check that {ca_file} is a readable PEM file", code=Exit.USAGE) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
