"""The table of rights: least privilege by construction, and commands that can be pasted."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from streams.acls import ROLES, acl_table, grants
from streams.cli import acls as module
from streams.cli.topics import topics
from streams.settings import Settings
from streams.topics import ACTIONS, ALERTS, INPUTS, SCORES, TOPICS

SETTINGS = Settings(topic_prefix="eu.", app_id="shop")


def cx(*arguments: str) -> Any:
    """Run `cx topics acls` and return what it did."""
    return CliRunner().invoke(topics, ["acls", *arguments])


def test_every_right_names_what_the_settings_name():
    """Prefix and application are those of the settings: no right reaches another application's topics."""
    names = {f"eu.{topic.name}" for topic in TOPICS} | {"shop-customers-changelog"}
    for role in ROLES:
        for grant in grants(role, SETTINGS):
            assert grant.name in names if grant.resource == "topic" else grant.name.startswith("shop")


def test_only_the_worker_writes_scores_and_alerts():
    """Neither producers nor operators nor readers can make up a score."""
    for topic in (SCORES, ALERTS):
        writers = {
            role
            for role in ROLES
            for grant in grants(role, SETTINGS)
            if grant.name == f"eu.{topic.name}" and "Write" in grant.operations
        }
        assert writers == {"worker"}


def test_a_producer_of_touchpoints_does_not_act_for_the_retention_team():
    """Who may say that a customer clicked may neither close her alert nor have her forgotten."""
    written = {grant.name for grant in grants("producer", SETTINGS)}
    assert written == {f"eu.{topic.name}" for topic in INPUTS if topic is not ACTIONS}
    assert {grant.name for grant in grants("actions", SETTINGS)} == {f"eu.{ACTIONS.name}"}


def test_the_commands_are_those_of_kafkas_own_tool():
    """One line a right, with operations, name and pattern."""
    result = cx("--role", "worker", "--principal", "User:w", "--app-id", "shop", "--bootstrap-servers", "k:9")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    start = "kafka-acls.sh --bootstrap-server k:9 --add --allow-principal 'User:w' "
    assert f"{start}--operation Read --operation DescribeConfigs --topic 'cx.touchpoints.web'" in lines
    assert f"{start}--operation Write --transactional-id 'shop-' --resource-pattern-type prefixed" in lines
    assert len(lines) == 1 + len(grants("worker", Settings()))


def test_without_a_role_all_are_printed():
    """For a first look, and as JSON for programs."""
    assert [line[2:].split(":")[0] for line in cx().output.splitlines() if line[0] == "#"] == list(ROLES)
    shown = json.loads(cx("--json").output)
    assert shown["reader"][0] == {
        "resource": "topic",
        "name": "cx.scores",
        "operations": ["Read"],
        "why": "reads it",
        "prefixed": False,
    }


def test_granting_everything_at_once_is_refused():
    """`--apply` asks for the one role that the principal is to have."""
    result = cx("--apply")
    assert result.exit_code == 2
    assert "--role" in result.output


@pytest.mark.parametrize("role", list(ROLES))
def test_the_table_of_the_docs_has_every_right(role: Any):
    """The reference is made from the same table."""
    rows = [line for line in acl_table().splitlines() if line.startswith(f"| {role} |")]
    assert len(rows) == len(grants(role, Settings()))


def test_rights_are_granted_to_the_principal_that_is_named(monkeypatch: pytest.MonkeyPatch):
    """`--apply` gives one role to one principal, and says so; without a name the role's own."""
    given: list[Any] = []

    async def allow(settings: Settings, principal: str, rights: Any) -> None:
        given.append((settings.app_id, principal, len(rights)))

    monkeypatch.setattr(module, "allow", allow)
    result = cx("--role", "actions", "--apply", "--principal", "User:care", "--app-id", "shop")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "# granted")
    assert cx("--role", "actions", "--apply").exit_code == 0
    assert given == [("shop", "User:care", 1), ("cx-signals", "User:cx-actions", 1)]
