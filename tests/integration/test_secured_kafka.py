"""The product on a Kafka that lets in only whom it knows: TLS with users, TLS with certificates, ACLs."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
from click.testing import CliRunner

from streams.acls import Grant, Operation, grants
from streams.admin import admin_client, allow, describe_topics, ensure_topics
from streams.cli.main import cx as program
from streams.connection import client_options
from streams.delivery.pauses import pause
from streams.engine.preflight import check_cluster
from streams.engine.settings import engine_settings
from streams.errors import CxError
from streams.settings import Settings
from streams.topics import DELIVERY, INPUTS, OUTPUTS, SCORES, WEB
from tests.live_worker import LiveWorker, Sent, read_topic, send, until
from tests.secured import PASSWORDS, SecuredKafka, variables

pytestmark = pytest.mark.kafka
AUTHORIZATION = (
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)


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


# -- rights


def cx(secured: SecuredKafka, prefix: str, user: str = "", **changes: Any) -> Settings:
    """Return settings of the application `<prefix>cx`: as a user of the secured listener, or as the test."""
    names = {"topic_prefix": prefix, "app_id": f"{prefix}cx", "partitions": 2}
    who = secured.as_user(user) if user else {"bootstrap_servers": secured.open}
    return Settings(**{**who, **names, **changes})


def touchpoint(customer: str, number: int) -> Sent:
    """Return a complaint of today on the topic of the web, without its prefix."""
    event = {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "test",
        "type": "cx.complaint.raised.v1",
        "time": datetime.now(UTC).isoformat(),
        "subject": customer,
        "data": {},
    }
    return Sent(WEB.name, customer.encode(), json.dumps(event).encode())


def test_a_worker_needs_no_right_beyond_its_own(secured: SecuredKafka, topic_prefix: str, tmp_path: Path):
    """As a user with exactly the rights of the table, a worker scores; whatever else it tries is refused."""
    ours = cx(secured, topic_prefix)
    asyncio.run(ensure_topics(ours))
    theirs = cx(secured, topic_prefix, "cx")
    asyncio.run(allow(ours, "User:cx", grants("worker", ours)))
    live = LiveWorker(secured.users, topic_prefix, tmp_path, **variables(secured.as_user("cx")))
    try:
        live.start()
        event = touchpoint("ann", 1)
        send(secured.open, [replace(event, topic=topic_prefix + event.topic)])
        until(lambda: read_topic(secured.open, topic_prefix + SCORES.name), "a score")
        assert PASSWORDS["cx"] not in live.said() + live.out()
    finally:
        live.stop()
    assert asyncio.run(allowed(theirs)) == []
    # The same things can be done by who may do everything: it was the rights that were missing.
    assert len(asyncio.run(allowed(ours))) == len(INPUTS) + len(OUTPUTS) + 5


async def test_a_right_that_is_missing_is_named_before_the_start(secured: SecuredKafka, topic_prefix: str):
    """A worker does not wait in silence for a group or transactions that it may not use."""
    ours, theirs = cx(secured, topic_prefix), engine_settings(cx(secured, topic_prefix, "reader"))
    await ensure_topics(ours)
    given: dict[str, list[Grant]] = defaultdict(list)
    for grant in grants("worker", ours):
        given[grant.resource].append(grant)
    for missing, resource in (
        (f"use the group {ours.app_id}", "group"),
        (f"use transactions as {ours.app_id}-0", "transactional-id"),
        ("missing topics", "topic"),
    ):
        with pytest.raises(CxError, match=missing) as caught:
            await check_cluster(theirs)
        assert "cx topics acls --role worker" in caught.value.mend
        await allow(ours, "User:reader", given[resource])
    assert await check_cluster(theirs) == ours.partitions
    with pytest.raises(CxError, match="refused") as caught:
        await describe_topics(cx(secured, topic_prefix, "reader"))
    assert caught.value.mend == "cx topics acls --role operator"


@pytest.mark.parametrize("operations", [(), ("Describe",)], ids=str)
def test_a_reader_lists_alerts_without_a_right_to_the_pause(
    secured: SecuredKafka, topic_prefix: str, operations: tuple[Operation, ...]
):
    """Whether the topic of the delivery is hidden from it or only closed to it."""
    ours = cx(secured, topic_prefix)
    asyncio.run(ensure_topics(ours))
    asyncio.run(pause(ours))
    rights = list(grants("reader", ours))
    if operations:
        rights.append(Grant("topic", f"{topic_prefix}{DELIVERY.name}", operations, "sees it"))
    asyncio.run(allow(ours, "User:reader", rights))
    who = {**secured.as_user("reader", topic_prefix=topic_prefix, app_id=ours.app_id), "partitions": 2}
    env = {name: str(value) for name, value in variables(who).items()}
    found = CliRunner(env=env).invoke(program, ["alerts", "list"], catch_exceptions=False)
    assert (found.exit_code, found.stdout, found.stderr) == (0, "no open alerts\n", "")


async def allowed(settings: Settings) -> list[str]:
    """Return what a user is let do of the things that a worker has no right to."""
    prefix = settings.topic_prefix
    done = []
    for topic in INPUTS:
        done += [f"write {topic.name}"] * await writes(settings, prefix + topic.name)
    for topic in OUTPUTS:
        done += [f"read {topic.name}"] * await reads(settings, prefix + topic.name)
    done += ["write in the name of another"] * await writes(
        settings, prefix + SCORES.name, transactional_id="another-0"
    )
    done += ["join another group"] * await reads(settings, prefix + WEB.name, group_id="another")
    return done + await administered(settings)


async def administered(settings: Settings) -> list[str]:
    """Return what a user is let change of the topics."""
    web, scores = settings.topic_prefix + WEB.name, settings.topic_prefix + SCORES.name
    async with admin_client(settings) as admin:
        [described] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, scores)])
        created = await admin.create_topics([NewTopic(f"{settings.topic_prefix}new", 1, 1)])
        deleted = await admin.delete_topics([web])
    codes = {
        "describe the configuration of an output": described.resources[0][0],
        "create a topic": created.topic_errors[0][1],
        "delete an input": deleted.topic_error_codes[0][1],
    }
    return [name for name, code in codes.items() if code == 0]


async def writes(settings: Settings, topic: str, **options: Any) -> bool:
    """Tell whether a record can be written to `topic`."""
    producer = AIOKafkaProducer(**client_options(settings), enable_idempotence=True, **options)
    try:
        await producer.start()
        if "transactional_id" in options:
            await producer.begin_transaction()
        await producer.send_and_wait(topic, b"v", b"k", partition=0)
    except AUTHORIZATION:
        return False
    finally:
        await producer.stop()
    return True


async def reads(settings: Settings, topic: str, **options: Any) -> bool:
    """Tell whether `topic` can be read."""
    consumer = AIOKafkaConsumer(**client_options(settings), auto_offset_reset="earliest", **options)
    try:
        await consumer.start()
        if "group_id" in options:
            consumer.subscribe([topic])
        else:
            consumer.assign([TopicPartition(topic, 0)])
        await consumer.getmany(timeout_ms=500)
    except AUTHORIZATION:
        return False
    finally:
        await consumer.stop()
    return True


@pytest.mark.long
def test_an_operator_needs_no_right_beyond_its_own(secured: SecuredKafka, topic_prefix: str, tmp_path: Path):
    """With the rights of its role it makes topics, asks the doctor, and has a customer forgotten."""
    ours = cx(secured, topic_prefix)
    key = secured.file("forget.key", "0123456789abcdef")
    who = secured.as_user("reader", topic_prefix=topic_prefix, app_id=ours.app_id, forget_key_file=key)
    asyncio.run(allow(ours, "User:reader", grants("operator", ours)))
    asyncio.run(allow(ours, "User:cx", grants("worker", ours)))
    env = {name: str(value) for name, value in variables({**who, "partitions": 2}).items()}

    def operate(*arguments: str) -> str:
        found = CliRunner(env=env).invoke(program, arguments, catch_exceptions=False)
        assert found.exit_code == 0, found.output
        return found.stdout

    assert f"created {topic_prefix}{WEB.name} (2 partitions, kept 389 days)" in operate("topics", "create")
    given = variables(secured.as_user("cx", forget_key_file=key))
    live = LiveWorker(secured.users, topic_prefix, tmp_path, **given)
    try:
        live.start()
        event = touchpoint("ann", 1)
        send(secured.open, [replace(event, topic=topic_prefix + event.topic)])
        until(lambda: read_topic(secured.open, topic_prefix + SCORES.name), "a score")
        looked = json.loads(operate("doctor", "--worker", live.url, "--json"))
        assert {each["status"] for each in looked} <= {"ok", "warning"}
        subjects = {each["subject"] for each in looked if each["status"] == "ok"}
        assert {"positions", "workers", "transactions", "replication", "delivery"} <= subjects
        assert json.loads(operate("forget", "ann", "--yes", "--json"))["customer_id"] == "ann"
        operate("deadletters", "list")
        operate("topics", "check")
    finally:
        live.stop()
