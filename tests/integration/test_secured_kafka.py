"""The product on a Kafka that lets in only whom it knows: TLS with users, TLS with certificates, ACLs."""

from collections.abc import Iterator
from typing import Any

import pytest

from streams.admin import admin_client
from streams.app import engine_settings
from streams.engine.preflight import check_cluster
from streams.errors import CxError
from streams.settings import Settings
from tests.secured import SecuredKafka

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """Return a secured Kafka, started for this module; skip where none can be had."""
    secured = SecuredKafka(tmp_path_factory.mktemp("secured"))
    try:
        secured.broker.start()
    except CxError as error:
        pytest.skip(f"no real Kafka: {error.message.splitlines()[0]} ({error.mend})")
    yield secured
    secured.broker.stop()


async def failure(settings: dict[str, Any]) -> str:
    """Return what a command says that is not let in."""
    with pytest.raises(CxError) as caught:
        async with admin_client(Settings(**settings)):
            pass
    return str(caught.value)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_user_with_a_password_is_let_in(secured: SecuredKafka, mechanism: str):
    """Over TLS, with both strengths of SCRAM."""
    async with admin_client(Settings(**secured.as_user("cx", sasl_mechanism=mechanism))) as admin:
        assert (await admin.describe_cluster())["brokers"]


async def test_a_certificate_is_let_in(secured: SecuredKafka):
    """A listener that asks for certificates takes the one of the settings."""
    async with admin_client(Settings(**secured.by_certificate())) as admin:
        assert (await admin.describe_cluster())["brokers"]


async def test_who_is_not_let_in_is_told_why(secured: SecuredKafka):
    """Each cause that looks alike in a client's error is told apart, with what mends it."""
    wrong = await failure(secured.as_user("cx", sasl_password_file=secured.file("wrong", "wrong")))
    assert "does not let the user 'cx' in: wrong name or password" in wrong
    assert "CX_SASL_PASSWORD_FILE" in wrong
    assert "does not offer PLAIN" in await failure(secured.as_user("cx", sasl_mechanism="PLAIN"))
    untrusted = await failure(secured.as_user("cx", ssl_cafile=""))
    assert f"the certificate of {secured.users} is not trusted" in untrusted
    assert "CX_SSL_CAFILE" in untrusted
    renamed = secured.as_user("cx", bootstrap_servers=secured.users.replace("127.0.0.1", "localhost"))
    assert "use the name in the certificate" in await failure(renamed)
    plain = await failure({"bootstrap_servers": secured.users})
    assert f"{secured.users} speaks TLS, and security_protocol is PLAINTEXT" in plain
    assert "does not speak TLS" in await failure(secured.as_user("cx", bootstrap_servers=secured.open))
    stranger = secured.by_certificate(ssl_certfile=str(secured.certificates.stranger), ssl_keyfile="")
    for certificate in (stranger, secured.by_certificate(ssl_certfile="", ssl_keyfile="")):
        assert f"{secured.mutual} wants a certificate from us" in await failure(certificate)


async def test_who_shows_no_user_is_told_so(secured: SecuredKafka):
    """Users without TLS: a stranger is asked for a user, and a user is told where none are known."""
    assert "ends the connection of a client without a user" in await failure(
        {"bootstrap_servers": secured.plain}
    )
    user = secured.as_user("cx", security_protocol="SASL_PLAINTEXT", ssl_cafile="")
    async with admin_client(Settings(**{**user, "bootstrap_servers": secured.plain})):
        pass
    assert "knows no users" in await failure({**user, "bootstrap_servers": secured.open})


async def test_a_worker_is_told_the_same_before_it_starts(secured: SecuredKafka):
    """The worker's own check of the cluster names the cause too."""
    wrong = secured.as_user("cx", sasl_password_file=secured.file("wrong", "wrong"))
    with pytest.raises(CxError, match="wrong name or password"):
        await check_cluster(engine_settings(Settings(**wrong)))
