"""A real Kafka that lets in only whom it knows: TLS with users, TLS with certificates, and its ACLs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from streams.local_kafka.node import LocalKafka
from streams.local_kafka.wire import free_port

HOST = "127.0.0.1"
PASSWORDS = {"cx": "correct horse", "reader": "battery staple"}
KEY_PASSWORD = "open sesame"  # noqa: S105  # of a key that is made for one test


@dataclass(frozen=True)
class Certificates:
    """PEM files: the authority, and a certificate it signed for the broker and one for a client."""

    ca: Path
    broker: Path
    client: Path
    client_key: Path
    stranger: Path
    """A certificate of an authority that nobody trusts."""


def make_certificates(folder: Path) -> Certificates:
    """Write an authority and its certificates into `folder`."""
    authority, other = trustme.CA(), trustme.CA()
    made = Certificates(
        *(folder / f"{name}.pem" for name in ("ca", "broker", "client", "client-key", "stranger"))
    )
    authority.cert_pem.write_to_path(made.ca)
    # Kafka reads keys in PKCS 8 only.
    made.broker.write_bytes(_pkcs8(authority.issue_cert(HOST)))
    client = authority.issue_cert("client.example", common_name="cx")
    made.client.write_bytes(b"".join(each.bytes() for each in client.cert_chain_pems))
    made.client_key.write_bytes(client.private_key_pem.bytes())
    made.stranger.write_bytes(_pkcs8(other.issue_cert("client.example", common_name="cx")))
    return made


def _pkcs8(certificate: trustme.LeafCert) -> bytes:
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem + b"".join(each.bytes() for each in certificate.cert_chain_pems)


class SecuredKafka:
    """A broker with four listeners.

    `open` is for the test itself: plain text, whose nobody is a super user. `users` is SASL_SSL with SCRAM,
    `plain` the same without TLS, `mutual` TLS with a certificate that is asked for.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificates = make_certificates(folder)
        ports = {name: free_port() for name in ("OPEN", "USERS", "PLAIN", "MUTUAL")}
        self.users, self.plain, self.mutual = (
            f"{HOST}:{ports[name]}" for name in ("USERS", "PLAIN", "MUTUAL")
        )
        controller = free_port()
        self.broker = LocalKafka(
            folder / "broker",
            port=ports["OPEN"],
            voters={1: controller},
            extra_properties=self._properties(ports, controller),
        )
        self.broker.format_arguments = _scram()
        self.open = self.broker.bootstrap_servers

    def _properties(self, ports: Mapping[str, int], controller: int) -> dict[str, str]:
        listeners = ",".join(f"{name}://{HOST}:{port}" for name, port in ports.items())
        return {
            "listeners": f"{listeners},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": (
                "OPEN:PLAINTEXT,USERS:SASL_SSL,PLAIN:SASL_PLAINTEXT,MUTUAL:SSL,CONTROLLER:PLAINTEXT"
            ),
            "inter.broker.listener.name": "OPEN",
            "sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512",
            **{
                f"listener.name.{listener}.scram-sha-{bits}.sasl.jaas.config": (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                )
                for listener in ("users", "plain")
                for bits in (256, 512)
            },
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.certificates.broker),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.certificates.ca),
            "listener.name.mutual.ssl.client.auth": "required",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "listener.name.mutual.ssl.principal.mapping.rules": "RULE:^CN=(.*?),.*$/$1/",
        }

    def file(self, name: str, content: str) -> str:
        """Write a secret's file and return its path."""
        path = self.folder / name
        path.write_text(content + "\n")
        path.chmod(0o600)
        return str(path)

    def as_user(self, user: str, **changes: Any) -> dict[str, Any]:
        """Return the settings of a client that shows `user` and its password over TLS."""
        return {
            "bootstrap_servers": self.users,
            "security_protocol": "SASL_SSL",
            "sasl_username": user,
            "sasl_password_file": self.file(f"{user}.password", PASSWORDS[user]),
            "ssl_cafile": str(self.certificates.ca),
            **changes,
        }

    def by_certificate(self, **changes: Any) -> dict[str, Any]:
        """Return the settings of a client that shows a certificate."""
        return {
            "bootstrap_servers": self.mutual,
            "security_protocol": "SSL",
            "ssl_cafile": str(self.certificates.ca),
            "ssl_certfile": str(self.certificates.client),
            "ssl_keyfile": str(self.certificates.client_key),
            **changes,
        }


def variables(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as the variables of a command's environment."""
    return {f"CX_{name.upper()}": value for name, value in values.items()}


def _scram() -> Sequence[str]:
    return [
        argument
        for user, password in PASSWORDS.items()
        for bits in (256, 512)
        for argument in ("--add-scram", f"SCRAM-SHA-{bits}=[name={user},password={password}]")
    ]
