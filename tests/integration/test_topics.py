"""`cx topics` on a real Kafka."""

import asyncio
from pathlib import Path

import orjson
import pytest
from aiokafka.admin import NewTopic
from click.testing import CliRunner, Result

from streams.admin import admin_client, describe_topics, ensure_topics, wait_for_leaders
from streams.cli.topics import topics
from streams.errors import CxError
from streams.settings import Settings
from streams.topics import DAY_MS, INPUTS, TOPICS

pytestmark = pytest.mark.kafka


class Cx:
    """`cx topics` against one broker and one prefix."""

    def __init__(self, kafka: str, prefix: str) -> None:
        self.kafka = kafka
        self.prefix = prefix

    def __call__(self, *arguments: str) -> Result:
        """Run the command and return what it did."""
        where = ["--bootstrap-servers", self.kafka, "--topic-prefix", self.prefix]
        return CliRunner(env={"COLUMNS": "200"}).invoke(topics, [*arguments, *where])

    def make(self, name: str, partitions: int, **config: str) -> None:
        """Create a topic by hand, as another program would."""
        asyncio.run(self._make(name, partitions, config))

    async def _make(self, name: str, partitions: int, config: dict[str, str]) -> None:
        async with admin_client(Settings(bootstrap_servers=self.kafka)) as admin:
            kept = {key.replace("_", "."): value for key, value in config.items()}
            await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=kept)])
            await wait_for_leaders(admin, [name])


@pytest.fixture
def cx(kafka: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cx:
    """Return `cx topics` with a prefix of its own, in a folder without settings."""
    monkeypatch.chdir(tmp_path)
    return Cx(kafka, topic_prefix)


def test_create_makes_every_topic_of_the_table_once(cx: Cx):
    """All topics are made with equal counts and their configuration; a second run makes none."""
    first, second = cx("create", "--partitions", "3"), cx("create", "--partitions", "3")
    kept = {topic.name: ", kept 389 days" for topic in INPUTS}
    assert first.stdout.splitlines() == [
        f"created {cx.prefix}{topic.name} (3 partitions{kept.get(topic.name, '')})" for topic in TOPICS
    ]
    assert second.stdout == "all topics are there (3 partitions each)\n"
    listed = orjson.loads(cx("list", "--json").stdout)
    assert [(each["partitions"], each["problem"]) for each in listed] == [(3, None)] * len(TOPICS)
    checked = cx("check")
    assert (checked.exit_code, checked.stderr) == (0, "")


def retention_days(cx: Cx) -> dict[str, int]:
    """Return for how many days the broker keeps each topic of which that was asked."""
    states = asyncio.run(describe_topics(Settings(bootstrap_servers=cx.kafka, topic_prefix=cx.prefix)))
    return {
        state.name.removeprefix(cx.prefix): int(state.config["retention.ms"]) // DAY_MS for state in states
    }


def test_inputs_are_kept_for_as_long_as_events_matter(cx: Cx, tmp_path: Path):
    """A rebuild finds all but a twentieth of the evidence, by the half-life of the policy; outputs differ."""
    policy = tmp_path / "policy.toml"
    policy.write_text("[ledger]\nhalf_life_days = 10.0\n", encoding="utf-8")
    assert cx("create", "--policy", str(policy)).exit_code == 0
    kept = retention_days(cx)
    assert [kept[topic.name] for topic in INPUTS] == [44] * len(INPUTS)
    assert kept["cx.incidents"] == 7
    # The default policy remembers for longer: what is there is left alone, and told.
    checked = cx("check")
    assert checked.exit_code == 0
    assert "warning: inputs are kept 44 days: a rebuild would lose 71% of the evidence's" in checked.stderr
    assert "--add-config retention.ms=33609600000" in checked.stderr
    assert cx("create").stdout == "all topics are there (4 partitions each)\n"
    assert retention_days(cx) == kept


def test_inputs_are_kept_for_the_days_that_were_asked_for(cx: Cx, monkeypatch: pytest.MonkeyPatch):
    """By an option or by a setting, whatever the policy's memory is."""
    cx.make(f"{cx.prefix}cx.actions", 4)
    monkeypatch.setenv("CX_RETENTION_DAYS", "60")
    assert "(4 partitions, kept 30 days)" in cx("create", "--retention-days", "30").stdout
    kept = retention_days(cx)
    assert (kept["cx.touchpoints.web"], kept["cx.actions"]) == (30, 7)


def test_create_fills_in_what_is_missing(cx: Cx):
    """A topic made by hand with the right count stays, the others are made."""
    cx.make(f"{cx.prefix}cx.scores", 4, cleanup_policy="compact", max_compaction_lag_ms="604800000")
    assert f"created {cx.prefix}cx.scores" not in cx("create").stdout
    assert cx("check").exit_code == 0


async def test_two_creations_at_once_both_succeed(kafka: str, topic_prefix: str):
    """Workers that start together do not trip over each other's topics."""
    settings = Settings(bootstrap_servers=kafka, topic_prefix=topic_prefix)
    created = await asyncio.gather(ensure_topics(settings), ensure_topics(settings))
    assert set(created[0]) | set(created[1]) == {f"{topic_prefix}{topic.name}" for topic in TOPICS}


def test_create_refuses_unequal_counts_and_names_the_mend(cx: Cx):
    """Topics with different counts are never completed: a customer would lie on two workers."""
    cx.make(f"{cx.prefix}cx.touchpoints.web", 2)
    cx.make(f"{cx.prefix}cx.touchpoints.store", 5)
    refused = cx("create", "--partitions", "5")
    assert isinstance(refused.exception, CxError)
    assert (
        f"2: {cx.prefix}cx.touchpoints.web; 5: {cx.prefix}cx.touchpoints.store" in refused.exception.message
    )
    assert f"--topic-prefix {cx.prefix} --partitions 5" in refused.exception.mend
    listed = orjson.loads(cx("list", "--json").stdout)
    assert sum(each["partitions"] > 0 for each in listed) == 2


def test_create_refuses_another_count_than_there_is(cx: Cx):
    """Asking for 4 where 2 are there names the command that goes on with 2."""
    cx.make(f"{cx.prefix}cx.actions", 2)
    refused = cx("create", "--partitions", "4")
    assert isinstance(refused.exception, CxError)
    assert refused.exception.mend.endswith(f" --topic-prefix {cx.prefix} --partitions 2")


def test_check_finds_what_is_wrong(cx: Cx):
    """A wrong clean-up, a wrong count and a missing topic are told, and the exit code is 1."""
    cx.make(f"{cx.prefix}cx.scores", 4)
    cx.make(f"{cx.prefix}cx.actions", 3, max_message_bytes="8388608")
    result = cx("check")
    assert result.exit_code == 1
    assert f"{cx.prefix}cx.scores: cleanup.policy is delete, not compact" in result.stderr
    assert f"{cx.prefix}cx.alerts: missing" in result.stderr
    assert "partition counts differ" in result.stderr
    assert "cx topics create" in result.stderr


def test_list_is_a_table_for_people(cx: Cx):
    """Without --json each topic is a row with its count and its state."""
    cx("create")
    rows = [line for line in cx("list").stdout.splitlines() if f"{cx.prefix}cx.deadletter" in line]
    assert len(rows) == 1
    assert " 4 " in rows[0]
    assert " ok " in rows[0]


def test_a_changelog_of_the_application_is_checked_too(cx: Cx, monkeypatch: pytest.MonkeyPatch):
    """A changelog that lost its compaction is found, by the application's name."""
    app_id = cx.prefix.strip(".")
    monkeypatch.setenv("CX_APP_ID", app_id)
    cx("create")
    cx.make(f"{app_id}-customers-changelog", 4)
    result = cx("check")
    assert result.exit_code == 1
    assert f"{app_id}-customers-changelog: cleanup.policy is delete, not compact" in result.stderr
    assert "cleanup.policy=[compact]" in result.stderr


def test_a_refusal_of_the_broker_is_told_in_its_words(cx: Cx):
    """More copies than brokers are refused by the broker: its reason is in the error."""
    refused = cx("create", "--replication-factor", "9")
    assert isinstance(refused.exception, CxError)
    assert "InvalidReplicationFactorError" in refused.exception.message


def test_adopt_before_a_worker_has_run_says_so(cx: Cx):
    """Without the topic, and without the application's changelog, there is nothing to adopt."""
    missing = cx("adopt", "cx.actions")
    assert isinstance(missing.exception, CxError)
    assert missing.exception.message.startswith(f"{cx.prefix}cx.actions does not exist")
    cx("create")
    early = cx("adopt", "cx.actions", "--app-id", cx.prefix.strip("."))
    assert isinstance(early.exception, CxError)
    assert "customers-changelog does not exist" in early.exception.message


async def test_a_topic_without_a_leader_is_told(
    kafka: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
):
    """Waiting for a topic that never comes ends with its name."""
    monkeypatch.setattr("streams.admin.LEADER_TIMEOUT_S", 0.1)
    async with admin_client(Settings(bootstrap_servers=kafka)) as admin:
        with pytest.raises(CxError, match=f"no leader for {topic_prefix}gone"):
            await wait_for_leaders(admin, [f"{topic_prefix}gone"])
