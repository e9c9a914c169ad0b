"""Topics held against the table, without a broker: what counts as wrong, and a broker that is not there."""

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiokafka.admin import NewTopic
from click.testing import CliRunner

from streams import admin, reach
from streams.admin import TopicState, counts_in_words, ensure_topics, problems, unequal_mend
from streams.cli.topics import as_object, mend, topics
from streams.engine import identity
from streams.engine.identity import Adopted
from streams.engine.settings import EngineSettings
from streams.errors import CxError
from streams.local_kafka.wire import free_port
from streams.settings import Settings
from streams.topics import ALERTS, COMPACTED, INPUTS, SCORES, STORE, TOPICS, WEB

GOOD = {"cleanup.policy": "delete", "max.message.bytes": "8388608"}
WEB_4 = TopicState("cx.touchpoints.web", WEB, 4, GOOD)
STORE_4 = TopicState("cx.touchpoints.store", STORE, 4, GOOD)
STORE_6 = TopicState("cx.touchpoints.store", STORE, 6, GOOD)
STORE_MISSING = TopicState("cx.touchpoints.store", STORE, 0, {})


def test_topics_as_they_should_be_have_no_problem():
    """Equal counts and the configuration of the table are no finding."""
    assert problems([WEB_4, STORE_4]) == ()


def test_a_missing_topic_is_a_finding_and_create_mends_it():
    """A missing topic is created with the count that the others have."""
    states = (WEB_4, STORE_MISSING)
    assert problems(states) == ("cx.touchpoints.store: missing",)
    assert mend(states, "b:1") == "cx topics create --partitions 4"
    assert mend((STORE_MISSING,), "b:1") == "cx topics create"


def test_unequal_counts_name_the_topics_and_the_way_out():
    """Different partition counts are told topic by topic, with a command that makes an equal set."""
    states = (WEB_4, STORE_6)
    assert problems(states) == ("partition counts differ: 4: cx.touchpoints.web; 6: cx.touchpoints.store",)
    assert mend(states, "b:1") == unequal_mend(states)
    assert "cx topics create --partitions 6" in mend(states, "b:1")


def test_the_odd_one_out_is_named_first():
    """Where one topic differs from many, a reader sees it first."""
    assert counts_in_words([WEB_4, TopicState("cx.actions", None, 4, {}), STORE_6]).startswith("6: ")


def test_a_topic_kept_wrongly_is_a_finding():
    """A scores topic that is not compacted would grow for ever: it is found, and the mend alters it."""
    scores = TopicState("cx.scores", SCORES, 4, COMPACTED | {"cleanup.policy": "delete"})
    assert problems([scores]) == ("cx.scores: cleanup.policy is delete, not compact",)
    said = mend((scores,), "b:1")
    assert "--bootstrap-server b:1 --alter --topic cx.scores --add-config cleanup.policy=[compact]" in said


def test_a_changelog_must_be_compacted():
    """An uncompacted changelog makes every recovery longer: it is found."""
    changelog = TopicState(
        "cx-signals-customers-changelog", None, 4, COMPACTED | {"cleanup.policy": "delete"}
    )
    assert problems([changelog]) == ("cx-signals-customers-changelog: cleanup.policy is delete, not compact",)
    assert as_object(changelog)["role"] == "changelog"


def test_the_order_of_a_list_in_a_configuration_does_not_matter():
    """`delete,compact` is the same clean-up as `compact,delete`."""
    config = ALERTS.config | {"cleanup.policy": "delete,compact"}
    assert problems([TopicState("cx.alerts", ALERTS, 4, config)]) == ()


class Cluster:
    """An admin client of nodes that hear of new topics late: its answers in turn, then the last for ever."""

    def __init__(self, *answers: dict[str, list[int]]) -> None:
        self.answers = list(answers)
        self.created: list[str] = []

    async def list_topics(self) -> list[str]:
        """Return no topic: the node that is asked first knows of none."""
        return []

    async def create_topics(self, wanted: list[NewTopic]) -> SimpleNamespace:
        """Take the topics, whoever else has made them."""
        self.created = [each.name for each in wanted]
        return SimpleNamespace(topic_errors=[(each.name, 0, "") for each in wanted])

    async def describe_topics(self, names: list[str]) -> list[dict[str, object]]:
        """Return the leaders of each partition, as the node knows them that is asked now."""
        known = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            {"topic": name, "partitions": [{"leader": leader} for leader in known[name]]}
            for name in names
            if name in known
        ]


def cluster_of(monkeypatch: pytest.MonkeyPatch, *answers: dict[str, list[int]]) -> Cluster:
    """Let `ensure_topics` talk to such a cluster."""
    cluster = Cluster(*answers)

    @asynccontextmanager
    async def connected(_: Settings) -> AsyncIterator[Cluster]:
        yield cluster

    monkeypatch.setattr(admin, "admin_client", connected)
    return cluster


async def test_topics_count_as_made_once_a_node_knows_their_leaders(monkeypatch: pytest.MonkeyPatch):
    """Nodes that know nothing yet, not all topics or no leader are asked again; a later one may be behind."""
    names = [topic.name for topic in TOPICS]
    known = {name: [0, 1] for name in names}
    without_a_leader = known | {names[-1]: [0, -1]}
    not_all = {name: known[name] for name in names[1:]}
    cluster = cluster_of(monkeypatch, {}, not_all, without_a_leader, known, {})
    assert await ensure_topics(Settings(partitions=2)) == tuple(names) == tuple(cluster.created)


async def test_topics_that_another_program_made_meanwhile_are_held_against_the_count(
    monkeypatch: pytest.MonkeyPatch,
):
    """Whoever was first chose the number of partitions: another one is refused."""
    cluster_of(monkeypatch, {topic.name: [0, 1, 2] for topic in TOPICS})
    with pytest.raises(CxError, match="have 3 partitions, not 2"):
        await ensure_topics(Settings(partitions=2))


async def test_topics_without_leaders_are_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch):
    """Where a partition gets no leader in time, the topics are named."""
    monkeypatch.setattr(admin, "LEADER_TIMEOUT_S", 0.05)
    cluster_of(monkeypatch, {topic.name: [-1] for topic in TOPICS})
    with pytest.raises(CxError, match=r"no leader for cx\.touchpoints\.web, "):
        await ensure_topics(Settings(partitions=1))


async def test_a_broker_that_is_not_there_is_named_with_the_command_that_starts_one():
    """An unreachable broker is an error with its address, and nothing else is logged."""
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(CxError, match=address) as error:
        await ensure_topics(Settings(bootstrap_servers=address))
    assert "cx kafka start" in error.value.mend


async def test_a_port_that_is_no_broker_is_told_apart(monkeypatch: pytest.MonkeyPatch):
    """A server that never answers as a broker ends the wait after the time allowed."""
    monkeypatch.setattr(admin, "CONNECT_TIMEOUT_S", 0.2)
    monkeypatch.setattr(reach, "TRY_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(CxError, match=f"{address} does not answer as a Kafka broker"):
            await ensure_topics(Settings(bootstrap_servers=address))


async def test_an_address_that_is_none_is_an_error_for_people():
    """A bootstrap address that cannot be read does not end in a traceback."""
    with pytest.raises(CxError, match="':::' is not the address of a broker"):
        await ensure_topics(Settings(bootstrap_servers=":::"))


async def test_the_clients_own_lines_are_kept_back_only_while_it_works():
    """The level of the client's logger is what it was once the work is done."""
    logger = logging.getLogger("aiokafka")
    before = logger.level
    with pytest.raises(CxError):
        await ensure_topics(Settings(bootstrap_servers=f"127.0.0.1:{free_port()}"))
    assert logger.level == before


@pytest.mark.parametrize("command", ["create", "list", "check", "adopt cx.actions"])
def test_every_command_tells_an_unreachable_broker(command: str):
    """Each of the commands ends with the same error where no broker is."""
    address = f"127.0.0.1:{free_port()}"
    with CliRunner().isolated_filesystem():
        result = CliRunner().invoke(topics, [*command.split(), "--bootstrap-servers", address])
    assert isinstance(result.exception, CxError)
    assert address in result.exception.message


def test_a_settings_file_names_the_broker(tmp_path: Path):
    """`--config` reads the address from the settings file."""
    address = f"127.0.0.1:{free_port()}"
    (tmp_path / "my.toml").write_text(f'bootstrap_servers = "{address}"')
    result = CliRunner().invoke(topics, ["list", "--config", str(tmp_path / "my.toml")])
    assert isinstance(result.exception, CxError)
    assert address in result.exception.message


class Adoption:
    """Stands in for the engine's `adopt` and keeps what it was asked."""

    def __init__(self, *answer: Adopted) -> None:
        self.answer = answer
        self.asked: tuple[EngineSettings, str] | None = None

    async def __call__(self, settings: EngineSettings, name: str) -> tuple[Adopted, ...]:
        """Keep the question and give the answer."""
        self.asked = (settings, name)
        return self.answer


async def topics_of_a_worker(settings: Settings) -> tuple[TopicState, ...]:
    """Return what is there once a worker has run."""
    inputs = [f"{settings.topic_prefix}{topic.name}" for topic in INPUTS]
    return tuple(TopicState(name, None, 4, {}) for name in [*inputs, "cx-signals-customers-changelog"])


@pytest.mark.parametrize("name", ["cx.actions", "eu.cx.actions"])
def test_adopt_tells_what_was_skipped(name: str, monkeypatch: pytest.MonkeyPatch):
    """Each partition that goes on elsewhere is told; the name may be given with or without the prefix."""
    adoption = Adoption(Adopted(partition=2, before=10, after=25, skipped=15))
    monkeypatch.setattr(identity, "adopt", adoption)
    monkeypatch.setattr("streams.cli.topics.describe_topics", topics_of_a_worker)
    with CliRunner().isolated_filesystem():
        result = CliRunner().invoke(topics, ["adopt", name, "--topic-prefix", "eu."])
    assert result.output == ("eu.cx.actions partition 2: goes on at 25 (stood at 10), 15 records skipped\n")
    assert adoption.asked is not None
    settings, asked = adoption.asked
    assert asked == "eu.cx.actions"
    assert settings.inputs == tuple(f"eu.{topic.name}" for topic in INPUTS)


def test_adopt_without_need_says_so(monkeypatch: pytest.MonkeyPatch):
    """A topic that can be read on from is left as it is."""
    monkeypatch.setattr(identity, "adopt", Adoption())
    monkeypatch.setattr("streams.cli.topics.describe_topics", topics_of_a_worker)
    with CliRunner().isolated_filesystem():
        result = CliRunner().invoke(topics, ["adopt", "cx.actions"])
    assert (result.exit_code, "nothing to adopt" in result.output) == (0, True)


def test_adopt_refuses_a_topic_that_is_no_input():
    """A name that is no input is refused with the names that are."""
    with CliRunner().isolated_filesystem():
        result = CliRunner().invoke(topics, ["adopt", "cx.scores"])
    assert isinstance(result.exception, CxError)
    assert "cx.touchpoints.web" in result.exception.mend
