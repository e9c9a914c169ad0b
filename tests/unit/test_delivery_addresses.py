"""A message goes to public addresses, and to others only where the endpoint allows it."""

import socket

import pytest

from streams.delivery.addresses import ForbiddenAddressError, permitted, socket_factory

PUBLIC = (
    "93.184.215.14",
    "2606:2800:21f:cb07:6820:80da:af6b:8b2c",
    "::ffff:93.184.215.14",
    "2002:5db8:d70e::",
)
OWN = (
    "127.0.0.1",
    "127.9.9.9",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fd00::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
)
NEVER = (
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "fe80::1%1",
    "0.0.0.0",  # noqa: S104  # as an address to be refused
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_permitted(address: str):
    """The Internet may be reached without being asked for."""
    assert permitted(address, allow_private=False)


@pytest.mark.parametrize("address", OWN)
def test_an_address_of_the_own_network_must_be_allowed(address: str):
    """Loopback and private addresses, also inside of an IPv6 address, need allow_private."""
    assert not permitted(address, allow_private=False)
    assert permitted(address, allow_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_link_local_multicast_and_reserved_addresses_are_never_receivers(address: str):
    """A cloud's metadata cannot be reached, whatever is allowed."""
    assert not permitted(address, allow_private=False)
    assert not permitted(address, allow_private=True)


def test_no_socket_is_made_for_an_address_that_is_not_permitted():
    """The check is on the address that is about to be connected to: there is no second look-up."""
    info = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80))
    with pytest.raises(ForbiddenAddressError):
        socket_factory(allow_private=False)(info)
    with socket_factory(allow_private=True)(info) as made:
        assert made.family is socket.AF_INET
