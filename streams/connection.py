"""How every Kafka client of the product is let in: one function makes the options of them all.

    AIOKafkaProducer(**client_options(settings), acks="all")

A client that were given its address alone would talk to a secured cluster in plain text, or not at all.
"""

import ssl
from collections.abc import Callable
from typing import Any, TypeVar

from streams.errors import CxError, Exit
from streams.settings import Settings, read_secret

TLS = frozenset({"SSL", "SASL_SSL"})
SASL = frozenset({"SASL_PLAINTEXT", "SASL_SSL"})
UNENCRYPTED = ", or SASL_PLAINTEXT where the broker has no TLS and nobody listens on the way"
T = TypeVar("T")


class Secret(str):
    """A text that no print shows: `repr` is a mask, also inside of a dictionary or a traceback."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def client_options(settings: Settings) -> dict[str, Any]:
    """Return the address and the security options that every aiokafka client is made with."""
    return {"bootstrap_servers": settings.bootstrap_servers.split(","), **security_options(settings)}


def security_options(settings: Settings) -> dict[str, Any]:
    """Return the options by which a client is let in: encryption, certificate, user and password.

    Raises `CxError` (exit code 2) for settings that contradict each other, and for files that cannot be used.
    """
    check_security(settings)
    protocol = settings.security_protocol
    options: dict[str, Any] = {"security_protocol": protocol}
    if protocol in TLS:
        options["ssl_context"] = _tls(settings)
    if protocol in SASL:
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": Secret(read_secret(settings.sasl_password_file)),
        }
    return options


def check_security(settings: Settings) -> None:
    """Refuse settings of which a part would be without effect: somebody believes to be protected by it."""
    for wrong, message, mend in _contradictions(settings):
        if wrong:
            raise CxError(message, mend=mend, code=Exit.USAGE)


def _contradictions(settings: Settings) -> tuple[tuple[bool, str, str], ...]:
    protocol = settings.security_protocol
    tls_files = [name for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile") if getattr(settings, name)]
    encrypted = protocol == "SSL" or bool(tls_files)
    named = bool(settings.sasl_username or settings.sasl_password_file)
    return (
        (
            bool(tls_files) and protocol not in TLS,
            f"{', '.join(tls_files)} has no effect with security_protocol {protocol}",
            f"set CX_SECURITY_PROTOCOL={'SASL_SSL' if named else 'SSL'}",
        ),
        (
            named and protocol not in SASL,
            f"sasl_username and sasl_password_file have no effect with security_protocol {protocol}",
            "set CX_SECURITY_PROTOCOL=SASL_SSL" + ("" if encrypted else UNENCRYPTED),
        ),
        (
            protocol in SASL and not (settings.sasl_username and settings.sasl_password_file),
            f"security_protocol {protocol} needs a user and a password",
            "set CX_SASL_USERNAME and CX_SASL_PASSWORD_FILE",
        ),
        (
            protocol == "SASL_PLAINTEXT" and settings.sasl_mechanism == "PLAIN",
            "the mechanism PLAIN over SASL_PLAINTEXT would send the password unencrypted",
            "set CX_SECURITY_PROTOCOL=SASL_SSL, or CX_SASL_MECHANISM=SCRAM-SHA-512",
        ),
        (
            bool(settings.ssl_keyfile) and not settings.ssl_certfile,
            "ssl_keyfile is the key of a certificate, and ssl_certfile names none",
            "set CX_SSL_CERTFILE",
        ),
    )


def _tls(settings: Settings) -> ssl.SSLContext:
    """Return a context that checks the broker's certificate and name, and shows ours where there is one."""
    from streams.closing import close_at_once  # noqa: PLC0415  # who needs no client imports none

    close_at_once()
    cafile = settings.ssl_cafile
    context = _loaded(lambda: ssl.create_default_context(cafile=cafile or None), "ssl_cafile", cafile)
    if settings.ssl_certfile:
        password = Secret(read_secret(settings.ssl_key_password_file))
        _loaded(
            # Without a password OpenSSL would ask for it on the terminal.
            lambda: context.load_cert_chain(
                settings.ssl_certfile, settings.ssl_keyfile or None, password=lambda: password
            ),
            "ssl_certfile",
            settings.ssl_certfile,
        )
    return context


def _loaded(load: Callable[[], T], name: str, path: str) -> T:
    try:
        return load()
    except (OSError, ValueError) as error:  # SSLError is an OSError
        msg = f"{name} {path} cannot be used: {_said(error)}"
        mend = f"check that {path} is a readable PEM file"
        if name == "ssl_certfile":
            mend += ", that ssl_keyfile belongs to it and that ssl_key_password_file opens the key"
        raise CxError(msg, mend=mend, code=Exit.USAGE) from error


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
