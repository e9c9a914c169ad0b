"""Settings: which source wins, and what a person is told about a wrong one."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from streams.errors import CxError, Exit
from streams.settings import Settings, load_settings, read_secret, settings_table, variable


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run each test in a folder without cx.toml."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(
    flags: dict[str, Any] | None = None, env: dict[str, str] | None = None, toml: str = ""
) -> CxError:
    """Return the error that loading these sources ends with."""
    Path("cx.toml").write_text(toml)
    with pytest.raises(CxError) as error:
        load_settings(flags, env=env or {})
    assert error.value.code == Exit.USAGE
    return error.value


def test_without_any_source_the_defaults_hold():
    """No file, no variable and no flag give the defaults of the table."""
    assert load_settings(env={}) == Settings()


def test_flags_win_over_environment_over_file_over_defaults():
    """Each source overrides the one before it, setting by setting."""
    Path("cx.toml").write_text('partitions = 2\nreplication_factor = 2\napp_id = "file"\n')
    settings = load_settings({"partitions": 8}, env={"CX_PARTITIONS": "6", "CX_REPLICATION_FACTOR": "3"})
    assert (settings.partitions, settings.replication_factor, settings.app_id) == (8, 3, "file")


def test_a_flag_that_was_not_given_overrides_nothing():
    """A flag whose value is None leaves the other sources in force."""
    assert load_settings({"partitions": None}, env={"CX_PARTITIONS": "6"}).partitions == 6


def test_a_file_may_be_named_by_argument_or_variable(tmp_path: Path):
    """CX_CONFIG names the settings file, and an argument names another one before it."""
    (tmp_path / "a.toml").write_text("partitions = 2")
    (tmp_path / "b.toml").write_text("partitions = 3")
    env = {"CX_CONFIG": str(tmp_path / "a.toml")}
    assert load_settings(env=env).partitions == 2
    assert load_settings(env=env, file=tmp_path / "b.toml").partitions == 3


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path):
    """A settings file that was asked for must be there; the default one need not."""
    with pytest.raises(CxError, match=r"cannot read the settings file .*gone\.toml: No such file"):
        load_settings(env={}, file=tmp_path / "gone.toml")


def test_a_file_that_is_not_toml_names_the_line():
    """The position of the TOML error is passed on."""
    assert "line 1" in refusal(toml="partitions = = 4").message


def test_a_typo_in_the_file_is_answered_with_the_name_meant():
    """An unknown key in cx.toml is refused and the nearest setting is named."""
    error = refusal(toml="partitons = 4")
    assert error.message == "cx.toml: unknown setting `partitons`, did you mean `partitions`?"


def test_a_key_like_no_setting_is_refused_without_a_guess():
    """An unknown key with no near name points to the reference."""
    error = refusal(toml="zzz = 4")
    assert (error.message, "docs/reference.md" in error.mend) == ("cx.toml: unknown setting `zzz`", True)


def test_a_typo_in_a_variable_is_answered_with_the_name_meant():
    """A near miss of a variable is refused, since it would otherwise have no effect."""
    assert "did you mean CX_PARTITIONS?" in refusal(env={"CX_PARTITION": "4"}).message


def test_variables_of_other_programs_are_left_alone():
    """A variable that merely begins with CX_ is no business of ours."""
    assert load_settings(env={"CX_ORACLE_LIB": "/x", "CX_TEST_KAFKA": "a:1", "PATH": "/"}) == Settings()


def test_an_unknown_flag_is_refused():
    """A flag that no setting has is refused like a key of the file."""
    assert "unknown setting `partition`" in refusal({"partition": 4}).message


@pytest.mark.parametrize(
    ("flags", "env", "toml", "words"),
    [
        ({}, {"CX_PARTITIONS": "four"}, "", "CX_PARTITIONS must be a whole number, not 'four'"),
        ({}, {"CX_SWEEP_INTERVAL_S": ""}, "", "CX_SWEEP_INTERVAL_S must be a number, not ''"),
        ({}, {}, 'partitions = "4"', "cx.toml: partitions must be a whole number, not '4'"),
        ({}, {}, "partitions = true", "cx.toml: partitions must be a whole number, not True"),
        ({}, {}, "app_id = 5", "cx.toml: app_id must be a text, not 5"),
        ({"metrics_port": 70000}, {}, "", "--metrics-port must be at least 0 and at most 65535, not 70000"),
        ({"partitions": 0}, {}, "", "--partitions must be at least 1"),
        ({}, {"CX_SWEEP_INTERVAL_S": "nan"}, "", "CX_SWEEP_INTERVAL_S must be at least 0.05, not nan"),
        ({"clock": "lunar"}, {}, "", "--clock must be one of wall, event, not 'lunar'"),
        ({}, {"CX_TOPIC_PREFIX": "a b"}, "", "CX_TOPIC_PREFIX must match"),
        ({"app_id": "a b"}, {}, "", "--app-id must match [a-zA-Z0-9._-]+, not 'a b'"),
        ({}, {"CX_APP_ID": ""}, "", "CX_APP_ID must match [a-zA-Z0-9._-]+, not ''"),
        ({}, {"CX_QUEUE_BYTES": "1"}, "", "CX_QUEUE_BYTES must be at least 1048576, not 1"),
    ],
)
def test_a_wrong_value_names_its_source_and_what_it_may_be(
    flags: dict[str, Any], env: dict[str, str], toml: str, words: str
):
    """A value of the wrong type or out of range is refused where it was written."""
    assert words in refusal(flags, env, toml).message


def test_a_whole_number_will_do_where_a_number_is_wanted():
    """`sweep_interval_s = 60` in the file is 60 seconds."""
    Path("cx.toml").write_text("sweep_interval_s = 60")
    assert load_settings(env={}).sweep_interval_s == 60.0


def test_a_session_shorter_than_three_heartbeats_is_refused():
    """One lost heartbeat must not cost a worker its partitions."""
    error = refusal({"heartbeat_interval_s": 3.0, "session_timeout_s": 8.0})
    assert "session_timeout_s 8 is shorter than three times heartbeat_interval_s 3" in error.message


def test_a_link_that_names_no_customer_is_refused():
    """Every alert would lead to the same page, and nobody would see why."""
    error = refusal(env={"CX_LINK_TEMPLATE": "https://crm.example.com/{id}"})
    assert "link_template https://crm.example.com/{id} names no customer" in error.message
    assert "{customer_id}" in error.mend
    assert load_settings({"link_template": "https://x/{customer_id}"}, env={}).link_template


def test_settings_do_not_change():
    """What was loaded stays as it is for the life of the process."""
    with pytest.raises(FrozenInstanceError):
        Settings().partitions = 5  # type: ignore[misc]


def test_a_secret_is_read_from_its_file(tmp_path: Path):
    """A secret's file gives its content without the newline that editors add; no file, no secret."""
    (tmp_path / "token").write_text("s3cret\n")
    assert read_secret(str(tmp_path / "token")) == "s3cret"
    assert read_secret("") == ""


def test_a_secret_that_cannot_be_read_is_named_and_not_shown(tmp_path: Path):
    """It is a mistake in the settings: the file, why and a way out are told, and nothing of what it holds."""
    token = tmp_path / "token"
    with pytest.raises(CxError, match=f"cannot read the secret's file {token}: No such file") as caught:
        read_secret(str(token))
    assert (caught.value.code, caught.value.mend) == (
        Exit.USAGE,
        "name the file that holds the secret, or make it",
    )
    token.write_bytes(b"\xe9")
    with pytest.raises(CxError) as caught:
        read_secret(str(token))
    assert caught.value.message == f"cannot read the secret's file {token}: it is not UTF-8"
    assert caught.value.code is Exit.USAGE


def test_a_default_file_that_is_kept_from_us_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Only where no cx.toml is there do the defaults hold: else what it sets would be without effect."""
    monkeypatch.chdir(tmp_path)
    assert load_settings(env={}) == Settings()
    Path("cx.toml").mkdir()
    with pytest.raises(CxError, match=r"cannot read the settings file cx\.toml: Is a directory") as caught:
        load_settings(env={})
    assert caught.value.code is Exit.USAGE


def test_the_table_shows_every_setting_with_its_variable():
    """The reference lists each setting once, with variable, default, unit and meaning."""
    rows = settings_table().splitlines()[2:]
    assert [row.split("|")[1].strip(" `") for row in rows] == [each.name for each in fields(Settings)]
    assert all(variable(each.name) in row for each, row in zip(fields(Settings), rows, strict=True))
    assert "| `session_timeout_s` | `CX_SESSION_TIMEOUT_S` | `10.0` | s |" in settings_table()
    assert r"`wall \| event`" in settings_table()
