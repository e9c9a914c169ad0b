"""Which addresses a message may go to.

The check is made on the address that a socket is about to be connected to, whatever name led there: a name
that answers one address when it is looked at and another when it is used gains nothing.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterator
from typing import Any, Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
LOW_32: Final = (1 << 32) - 1


class ForbiddenAddressError(OSError):
    """A name led to an address that the endpoint may not be sent to."""


def permitted(text: str, *, allow_private: bool) -> bool:
    """Tell whether a message may go to the address `text`.

    Public addresses may always be reached, private and loopback ones only with `allow_private`. Link-local
    (where clouds keep their metadata), multicast and reserved addresses are never receivers.
    """
    return all(_permitted(each, allow_private=allow_private) for each in _faces(ipaddress.ip_address(text)))


def _permitted(address: Address, *, allow_private: bool) -> bool:
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if address.is_loopback:
        return allow_private
    if address.is_reserved:
        return False
    return address.is_global or allow_private


def _faces(address: Address) -> Iterator[Address]:
    """Yield the address, or the IPv4 address that a router on the way makes of it."""
    if isinstance(address, ipaddress.IPv4Address):
        yield address
        return
    inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in NAT64:
        inner.append(ipaddress.IPv4Address(int(address) & LOW_32))
    found = [each for each in inner if each is not None]
    yield from found or [address]


def socket_factory(*, allow_private: bool) -> Callable[[Any], socket.socket]:
    """Return what makes the sockets of a client, and none for an address that is not permitted."""

    def make(info: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, where = info
        if not permitted(where[0], allow_private=allow_private):
            msg = "it leads to an address that is not permitted"
            raise ForbiddenAddressError(msg)
        return socket.socket(family, kind, protocol)

    return make
