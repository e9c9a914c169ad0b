"""How clients are let in: options, secrets that no print shows, and settings that contradict each other."""

import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from streams.connection import Secret, client_options, security_options
from streams.engine.settings import engine_settings
from streams.errors import CxError, Exit
from streams.reach import unreachable
from streams.settings import Settings, load_settings
from tests.secured import KEY_PASSWORD, Certificates, make_certificates

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return certificates made for this module."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def password(tmp_path: Path) -> str:
    """Return the path of a password's file."""
    path = tmp_path / "password"
    path.write_text("hunter2\n")
    return str(path)


def test_without_settings_brokers_are_spoken_to_in_plain_text():
    """The local Kafka has no users: the defaults name the protocol and nothing else."""
    assert client_options(Settings(bootstrap_servers="a:1,b:2")) == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "PLAINTEXT",
    }


def test_a_user_shows_the_password_of_its_file(password: str):
    """The file's white space around a password is no part of it, and the mechanism is a strong one."""
    given = Settings(security_protocol="SASL_PLAINTEXT", sasl_username="cx", sasl_password_file=password)
    assert security_options(given) == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "cx",
        "sasl_plain_password": "hunter2",
    }


def test_no_print_shows_a_password(password: str):
    """Neither the options, nor the engine's settings, nor the settings themselves print a secret."""
    given = Settings(security_protocol="SASL_PLAINTEXT", sasl_username="cx", sasl_password_file=password)
    for printed in (security_options(given), engine_settings(given), given, [Secret("hunter2")]):
        assert "hunter2" not in repr(printed)
        assert "hunter2" not in f"{printed}"


def test_a_broker_must_prove_its_name(certificates: Certificates):
    """TLS never goes without the check of certificate and host name."""
    given = Settings(security_protocol="SSL", ssl_cafile=str(certificates.ca))
    context = security_options(given)["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_key_is_opened_with_the_password_of_its_file(certificates: Certificates, tmp_path: Path):
    """An encrypted key serves with its password, and is an error for people without it."""
    locked = tmp_path / "locked.pem"
    key = load_pem_private_key(certificates.client_key.read_bytes(), None)
    lock = BestAvailableEncryption(KEY_PASSWORD.encode())
    locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))
    opener = tmp_path / "opener"
    opener.write_text(KEY_PASSWORD)
    given: dict[str, Any] = {
        "security_protocol": "SSL",
        "ssl_certfile": str(certificates.client),
        "ssl_keyfile": str(locked),
    }
    assert security_options(Settings(**given, ssl_key_password_file=str(opener)))["ssl_context"]
    with pytest.raises(CxError, match=r"ssl_certfile .* cannot be used") as caught:
        security_options(Settings(**given))
    assert "ssl_key_password_file" in caught.value.mend


@pytest.mark.parametrize(
    ("given", "said", "mend"),
    [
        ({"ssl_cafile": "ca.pem"}, "ssl_cafile has no effect", "CX_SECURITY_PROTOCOL=SSL"),
        (
            {"sasl_username": "cx"},
            "have no effect",
            "CX_SECURITY_PROTOCOL=SASL_SSL, or SASL_PLAINTEXT where the broker has no TLS",
        ),
        ({"sasl_username": "cx", "security_protocol": "SSL"}, "have no effect", "PROTOCOL=SASL_SSL"),
        ({"sasl_username": "cx", "ssl_cafile": "c"}, "no effect", "CX_SECURITY_PROTOCOL=SASL_SSL"),
        ({"security_protocol": "SASL_SSL", "sasl_username": "cx"}, "needs a user", "CX_SASL_PASSWORD_FILE"),
        (
            {
                "security_protocol": "SASL_PLAINTEXT",
                "sasl_mechanism": "PLAIN",
                "sasl_username": "cx",
                "sasl_password_file": "p",
            },
            "unencrypted",
            "CX_SECURITY_PROTOCOL=SASL_SSL",
        ),
        ({"security_protocol": "SSL", "ssl_keyfile": "k"}, "ssl_certfile names none", "CX_SSL_CERTFILE"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(given: dict[str, Any], said: str, mend: str):
    """Nobody believes to be protected by a setting that has no effect."""
    with pytest.raises(CxError, match=said) as caught:
        security_options(Settings(**given))
    assert mend in caught.value.mend
    assert caught.value.code is Exit.USAGE


def test_files_that_are_not_there_are_named(tmp_path: Path):
    """A missing authority and a missing password are told with their paths, not as a broken connection."""
    missing = str(tmp_path / "missing")
    with pytest.raises(CxError, match=f"ssl_cafile {missing} cannot be used: No such file") as caught:
        security_options(Settings(security_protocol="SSL", ssl_cafile=missing))
    assert caught.value.code is Exit.USAGE
    given = load_settings(
        env={
            "CX_SECURITY_PROTOCOL": "SASL_SSL",
            "CX_SASL_USERNAME": "cx",
            "CX_SASL_PASSWORD_FILE": missing,
        }
    )
    with pytest.raises(CxError, match=f"cannot read the secret's file {missing}: No such file") as caught:
        security_options(given)
    assert caught.value.code is Exit.USAGE


def test_every_client_is_made_with_the_options_of_the_one_function():
    """No client of the product names a broker by itself: it would be kept out of a secured cluster."""
    found = []
    for path in sorted((ROOT / "streams").rglob("*.py")):
        code = path.read_text()
        for kind in ("AIOKafkaProducer(", "AIOKafkaConsumer(", "AIOKafkaAdminClient("):
            for after in code.split(kind)[1:]:
                call = after[: after.index(")\n")]
                if not any(given in call for given in ("options", ".security")):
                    found.append((str(path), kind))
        made = [each[:300] for each in code.split("EngineSettings(\n")[1:]]
        found += [(str(path), "EngineSettings") for each in made if "security=" not in each]
    assert found == []


async def test_an_address_without_a_port_is_named():
    """What is no address is said before anything is tried."""
    assert "'kafka' is not the address" in (await unreachable({"bootstrap_servers": "kafka"})).message


def test_reading_settings_connects_nowhere():
    """The module of the options imports no client: a command that needs none starts quickly."""
    code = "import sys; import streams.connection; sys.exit('aiokafka' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
