"""Why a broker cannot be reached: the client says only that it could not, so each address is tried once more.

The causes that look alike in a client's error are told apart: nobody listens, another kind of encryption is
spoken there, a certificate is not trusted, the password is wrong.
"""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaError,
    RequestTimedOutError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from streams.errors import CxError

TRY_S: Final = 2.0
TLS: Final = ("SSL", "SASL_SSL")
ALERT_WAIT_S: Final = 0.3
AWAY: Final = "cx kafka start, or set CX_BOOTSTRAP_SERVERS to your broker's address"


async def unreachable(options: Mapping[str, Any]) -> CxError:
    """Return why no client made with `options` (see `client_options`) gets in, and what mends it.

    Takes at most about 6 s for each address; the first cause that somebody can mend is the answer.
    """
    servers = options["bootstrap_servers"]
    servers = servers.split(",") if isinstance(servers, str) else servers
    found = None
    for server in servers:
        host, _, port = server.strip().rpartition(":")
        if not host or not port.isdigit():
            msg = f"CX_BOOTSTRAP_SERVERS: {server!r} is not the address of a broker"
            return CxError(msg, mend="write it as HOST:PORT")
        found = await _cause(server, host.strip("[]"), int(port), options)
        if found is not None:
            return found
    where = ",".join(servers)
    return CxError(f"no Kafka broker answers at {where}", mend=AWAY)


async def _cause(server: str, host: str, port: int, options: Mapping[str, Any]) -> CxError | None:
    """Return what one address answers to a client with `options`; None where nobody answers."""
    security = {key: value for key, value in options.items() if key != "bootstrap_servers"}
    try:
        connection = await create_conn(host, port, request_timeout_ms=int(TRY_S * 1000), **security)
        try:
            # A listener with users answers a stranger's first question, and no second one.
            await connection.send(MetadataRequest([]))
        finally:
            connection.close()
    except (KafkaError, OSError, TimeoutError) as error:
        return await _explain(error, server, host, port, options)
    return CxError(f"{server} answers, but leads to brokers that do not", mend="check advertised.listeners")


async def _explain(
    error: BaseException, server: str, host: str, port: int, options: Mapping[str, Any]
) -> CxError | None:
    if (known := _known(error, server, options)) is not None:
        return known
    if not await _listens(host, port):
        return None
    speaks_tls, wants_certificate = await _speaks_tls(host, port)
    protocol = options.get("security_protocol", "PLAINTEXT")
    if protocol in TLS:
        return _encrypted(server, protocol, speaks_tls=speaks_tls, wants_certificate=wants_certificate)
    if speaks_tls:
        wanted = "SASL_SSL" if protocol == "SASL_PLAINTEXT" else "SSL, or SASL_SSL with a user"
        msg = f"{server} speaks TLS, and security_protocol is {protocol}"
        return CxError(msg, mend=f"set CX_SECURITY_PROTOCOL={wanted}")
    if isinstance(error, TimeoutError | RequestTimedOutError) or protocol != "PLAINTEXT":
        return CxError(f"what listens at {server} does not answer as a Kafka broker", mend=AWAY)
    return _stranger(server, protocol)


def _encrypted(server: str, protocol: str, *, speaks_tls: bool, wants_certificate: bool) -> CxError:
    if not speaks_tls:
        msg = f"{server} does not speak TLS, and security_protocol is {protocol}"
        return CxError(msg, mend="use the port of the broker's TLS listener, or another CX_SECURITY_PROTOCOL")
    if wants_certificate:
        msg = f"{server} wants a certificate from us, and does not accept what it was shown"
        return CxError(msg, mend="set CX_SSL_CERTFILE and CX_SSL_KEYFILE to one that the broker's CA signed")
    return _stranger(server, protocol)


def _stranger(server: str, protocol: str) -> CxError:
    msg = f"{server} ends the connection of a client without a user (security_protocol {protocol})"
    return CxError(msg, mend="if the broker asks for a password, set CX_SECURITY_PROTOCOL=SASL_...")


def _known(error: BaseException, server: str, options: Mapping[str, Any]) -> CxError | None:
    """Return the failures that say themselves what they are."""
    user = options.get("sasl_plain_username", "")
    if isinstance(error, UnsupportedSaslMechanismError):
        mechanism = options.get("sasl_mechanism")
        msg = f"{server} does not offer {mechanism}"
        return CxError(msg, mend="set CX_SASL_MECHANISM to one that the broker has enabled")
    if isinstance(error, IllegalSaslStateError):
        msg = f"{server} knows no users, and security_protocol is {options['security_protocol']}"
        mend = "use the port of the broker's SASL listener, or another CX_SECURITY_PROTOCOL"
        return CxError(msg, mend=mend)
    if isinstance(error, SaslAuthenticationFailed | AuthenticationFailedError):
        msg = f"{server} does not let the user {user!r} in: wrong name or password"
        return CxError(msg, mend="check CX_SASL_USERNAME and the content of CX_SASL_PASSWORD_FILE")
    cause = _ssl_error(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        msg = f"the certificate of {server} is not trusted: {cause.verify_message}"
        mend = "set CX_SSL_CAFILE to the authority that signed it"
        if "mismatch" in cause.verify_message.lower():
            mend = "use the name in the certificate as the broker's address"
        return CxError(msg, mend=mend)
    return None


def _ssl_error(error: BaseException | None) -> BaseException | None:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


async def _listens(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(TRY_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    await _close(writer)
    return True


async def _speaks_tls(host: str, port: int) -> tuple[bool, bool]:
    """Tell whether TLS is spoken there, and whether a client without a certificate is turned away."""
    context = ssl.create_default_context()
    # Nothing is sent: only whether a handshake is answered is asked.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(TRY_S):
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLError as error:
        return "CERTIFICATE_REQUIRED" in str(error) or "HANDSHAKE_FAILURE" in str(error), True
    except (OSError, TimeoutError):
        return False, False
    try:
        # TLS 1.3 refuses a missing certificate after the handshake, with an alert that a read brings up.
        await asyncio.wait_for(reader.read(1), ALERT_WAIT_S)
    except TimeoutError:
        return True, False
    except OSError:
        return True, True
    else:
        return True, False
    finally:
        await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
