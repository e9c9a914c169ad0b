"""The routes file: linted as a whole, and the first route that fits decides."""

import re
from pathlib import Path
from typing import Any

import pytest

from streams.delivery.receivers import read_receivers
from streams.delivery.routes import NOWHERE, Routes, load_routes
from streams.errors import CxError, Exit
from tests.delivering import SECRET, an_alert

GOOD = """
default = "care"

[endpoints.care]
url = "https://hooks.example.com/cx"
key_files = ["care.key"]

[endpoints.stores]
format = "slack"
url_file = "stores.url"

[[routes]]
rule = "advocate"
endpoint = "nowhere"

[[routes]]
cause_owner = "store-*"
severity = ["high", "critical"]
endpoint = "stores"

[quiet_hours]
from = "21:00"
to = "08:00"
timezone = "Europe/Zurich"
passes = ["critical"]
"""


def routes_of(folder: Path, text: str) -> Routes:
    """Load a file with this text."""
    path = folder / "routes.toml"
    path.write_text(text)
    return load_routes(path)


def refused(folder: Path, text: str) -> str:
    """Return what is said of a file that is not right."""
    with pytest.raises(CxError) as found:
        routes_of(folder, text)
    assert found.value.code == Exit.USAGE
    return found.value.message


@pytest.mark.parametrize(
    ("alert", "endpoint"),
    [
        ({}, "care"),
        ({"cause_owner": "store-12"}, "stores"),
        ({"cause_owner": "store-12", "severity": "critical"}, "stores"),
        ({"cause_owner": "store-12", "severity": "medium"}, "care"),
        ({"cause_owner": "webstore-12"}, "care"),
        ({"cause_owner": "store-12", "rule": "advocate"}, NOWHERE),
    ],
)
def test_the_first_route_that_fits_decides(tmp_path: Path, alert: dict[str, Any], endpoint: str):
    """All patterns of a route must fit, any of a list does; without a route the default gets it."""
    assert routes_of(tmp_path, GOOD).endpoint_of(an_alert(**alert)) == endpoint


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('rule = "advocate"', 'rle = "advocate"', "routes, the 1. one: rle`, did you mean `rule`?"),
        ('default = "care"', 'default = "car"', "default: no endpoint `car`, did you mean `care`?"),
        ('endpoint = "stores"', 'endpoint = "store"', "no endpoint `store`, did you mean `stores`?"),
        (
            '"critical"]\nendpoint',
            '"criticl"]\nendpoint',
            "no severity is `criticl`, did you mean `critical`?",
        ),
        ('rule = "advocate"', 'rule = "silent"', "no rule is `silent`, did you mean `silence`?"),
        ('rule = "advocate"', 'step = "annonced"', "no step is `annonced`, did you mean `announced`?"),
        ('rule = "advocate"\n', "", "fits every step"),
        ("url = ", "ulr = ", "unknown key `endpoints.care.ulr`, did you mean `url`?"),
        ("key_files =", "keyfiles =", "did you mean `key_files`?"),
        ('key_files = ["care.key"]', "", "without `key_files`"),
        ("url_file", 'url = "https://a.example"\nurl_file', "give either `url` or `url_file`"),
        ("https://hooks", "http://hooks", "must be https"),
        ("https://hooks", "ftp://hooks", "must be https"),
        ("https://hooks", "https://me:secret@hooks", "must hold no user and no password"),
        ("https://hooks.example.com/", "https://[hooks/", "is no address"),
        ('"slack"', '"teams"', "Invalid enum value 'teams' - at `$.endpoints.stores.format`"),
        ("[endpoints.care]", "[endpoints.care]\nmax_age_s = 36000", "shorter than the quiet hours"),
        ("[endpoints.care]", "[endpoints.care]\ntimeout_s = 0", ">= 0.1 - at `$.endpoints.care.timeout_s`"),
        ("[endpoints.care]", "[endpoints.nowhere]", "this name means that nothing is sent"),
        ("[endpoints.care]", "[endpoints.'C/are']", "Expected `str` matching regex"),
        ('"21:00"', '"9pm"', "Expected `str` matching regex"),
        ('"21:00"', '"08:00"', "`from` and `to` are the same"),
        ("from =", "form =", "unknown key `quiet_hours.form`, did you mean `from`?"),
        ("Europe/Zurich", "Europe/Zuerich", "no zone `Europe/Zuerich`"),
        ('passes = ["critical"]', 'passes = ["crit"]', "no severity `crit`"),
        ("[quiet_hours]", "[quiet_hors]", "unknown key `quiet_hors`, did you mean `quiet_hours`?"),
        ("default =", "default", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: str):
    """A slip is found before anything is sent, with what was probably meant."""
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    assert said in refused(tmp_path, text)


def test_everything_that_is_wrong_is_named_at_once(tmp_path: Path):
    """Nobody mends a file one message at a time."""
    text = GOOD.replace('default = "care"', 'default = "car"').replace("Europe/Zurich", "Europe/Basel")
    assert len(refused(tmp_path, text).splitlines()) == 3


def test_every_value_that_cannot_be_is_named_at_once(tmp_path: Path):
    """So are values of a wrong form, in whatever table they are."""
    text = GOOD.replace('"21:00"', '"25:00"').replace("[endpoints.care]", "[endpoints.care]\ntimeout_s = 0")
    said = refused(tmp_path, text)
    assert "`$.quiet_hours.from`" in said
    assert "`$.endpoints.care.timeout_s`" in said


def test_what_is_missing_is_named_with_what_is_wrong(tmp_path: Path):
    """A key that a file has to have is told beside misspelled keys and values of a wrong form."""
    text = (
        GOOD.replace('default = "care"\n', "")
        .replace('endpoint = "stores"\n', "", 1)
        .replace('"21:00"', '"25:00"')
        .replace("passes =", "pases =")
    )
    said = refused(tmp_path, text)

    assert "missing key `default`" in said
    assert re.search(r"missing key `routes\[\d\]\.endpoint`", said)
    assert "unknown key `quiet_hours.pases`" in said
    assert "`$.quiet_hours.from`" in said


def test_a_hundred_endpoints_are_enough(tmp_path: Path):
    """An endpoint is a label of the metrics: their number is bounded."""
    more = "".join(f'[endpoints.e{n}]\nurl = "https://a.example"\nformat = "slack"\n' for n in range(99))
    assert "more than 100" in refused(tmp_path, GOOD + more)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    """The message names the path."""
    with pytest.raises(CxError, match=r"cannot read the routes file .*none\.toml: No such file"):
        load_routes(tmp_path / "none.toml")


def receivers_of(folder: Path, url: str) -> Any:
    """Read the receivers of the good file with this address."""
    (folder / "stores.url").write_text(url + "\n")
    (folder / "care.key").write_text(SECRET)
    return read_receivers(routes_of(folder, GOOD), folder)


def test_no_print_shows_the_path_of_an_address_in_the_routes_either(tmp_path: Path):
    """Many receivers put their secret into path or query, and people put that into the routes."""
    found = load_routes_of_an_address(tmp_path, "https://hooks.example.com/T0/hidden?token=hidden")
    assert "hidden" not in repr(found)
    assert "hooks.example.com" in repr(found)


def load_routes_of_an_address(folder: Path, url: str) -> Any:
    """Read routes and receivers of one endpoint at `url`."""
    text = f'default = "care"\n[endpoints.care]\nurl = "{url}"\nkey_files = ["care.key"]\n'
    (folder / "care.key").write_text(SECRET)
    routes = routes_of(folder, text)
    return routes, read_receivers(routes, folder)


def test_secrets_are_read_from_files_beside_the_routes(tmp_path: Path):
    """Keys and secret addresses are found from the routes' own folder, and no print shows them."""
    found = receivers_of(tmp_path, "https://hooks.slack.com/services/T0/B0/secret")
    assert found["stores"].url.text == "https://hooks.slack.com/services/T0/B0/secret"
    assert str(found["stores"].url) == "https://hooks.slack.com/..."
    assert "secret" not in repr(found)
    assert SECRET not in repr(found)
    assert len(found["care"].keys) == 1
    assert found["care"].tls is not None


@pytest.mark.parametrize("url", ["http://hooks.slack.com/secret", "", "secret"])
def test_a_bad_address_in_a_file_is_refused_without_being_shown(tmp_path: Path, url: str):
    """The message names the file; what is in it may be a secret."""
    with pytest.raises(CxError) as found:
        receivers_of(tmp_path, url)
    assert "stores.url must be https" in found.value.message
    assert "secret" not in str(found.value)


def test_a_file_of_authorities_that_is_none_is_refused(tmp_path: Path):
    """A wrong ca_file is found at the start, not with the first alert."""
    text = GOOD.replace("[endpoints.care]", '[endpoints.care]\nca_file = "care.key"')
    (tmp_path / "care.key").write_text(SECRET)
    with pytest.raises(CxError, match="file of authorities"):
        read_receivers(routes_of(tmp_path, text), tmp_path)


def test_an_address_without_encryption_must_be_allowed(tmp_path: Path):
    """allow_http is an answer to a question that was asked."""
    text = GOOD.replace("https://hooks", "http://hooks").replace(
        "[endpoints.care]", "[endpoints.care]\nallow_http = true"
    )
    (tmp_path / "care.key").write_text(SECRET)
    (tmp_path / "stores.url").write_text("https://a.example/")
    assert read_receivers(routes_of(tmp_path, text), tmp_path)["care"].tls is None
