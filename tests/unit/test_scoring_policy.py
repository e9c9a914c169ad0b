"""A policy file is typed, laid over the default, linted and hashed."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from streams.errors import CxError, Exit
from streams.scoring.policy import default_policy, load_policy, policy_from_tables

DEFAULT = default_policy()


def refused(**tables: Any) -> str:
    """Return the message with which a policy is refused."""
    with pytest.raises(CxError) as caught:
        policy_from_tables(tables)
    assert caught.value.code is Exit.USAGE
    assert caught.value.mend
    return caught.value.message


def test_every_driver_says_why():
    """Every driver of the default policy has a reason of one line and an owner."""
    for name, driver in DEFAULT.drivers.items():
        assert driver.reason.splitlines() == [driver.reason], name
        assert driver.owner, name


def test_codes_of_the_default_policy():
    """Rows keep driver codes: they never change."""
    codes = [driver.code for driver in DEFAULT.drivers.values()]

    assert codes == list(range(1, len(codes) + 1))
    assert {name: DEFAULT.drivers[name].code for name in ("purchase", "complaint", "ces")} == {
        "purchase": 1,
        "complaint": 10,
        "ces": 41,
    }
    assert DEFAULT.driver_names[41] == "ces"


@pytest.mark.parametrize("path", [None, ""])
def test_no_path_is_the_default(path: str | None):
    """Without a file the default policy holds."""
    assert load_policy(path) == DEFAULT


def test_overlay(tmp_path: Path):
    """A file names only what it changes."""
    path = tmp_path / "mine.toml"
    path.write_text('version = "mine"\n[ledger]\nprior = 60\n[drivers.purchase]\nweight = 2.5\n')

    found = load_policy(path)

    assert (found.version, found.ledger.prior, found.ledger.mass) == ("mine", 60.0, DEFAULT.ledger.mass)
    assert (found.drivers["purchase"].weight, found.drivers["purchase"].code) == (2.5, 1)
    assert found.drivers["complaint"] == DEFAULT.drivers["complaint"]


def test_derived_values():
    """The earliest date is a time in UTC, the alert horizon a position among the horizons."""
    assert DEFAULT.ancient_before_s == 631_152_000.0
    assert policy_from_tables({"churn": {"alert_horizon_days": 30}}).alert_horizon == 0


LINT: list[tuple[str, str]] = [
    ("ledgr = 1", "unknown key `ledgr`, did you mean `ledger`?"),
    ("[ledger]\nprioor = 60", "unknown key `ledger.prioor`, did you mean `prior`?"),
    ("[drivers.purchase]\nweigth = 1", "unknown key `drivers.purchase.weigth`, did you mean `weight`?"),
    ("xyzzy = 1", "unknown key `xyzzy`"),
    (
        "[drivers.purchse]\nweight = 2",
        "drivers.purchse: no touchpoint gives this driver, did you mean `purchase`?",
    ),
    ("[drivers.zzz]\nweight = 2", "drivers.zzz: no touchpoint gives this driver"),
    (
        '[churn.calibration]\nkind = "isoton"',
        'churn.calibration.kind can be "none", "platt", "isotonic", not `isoton`, did you mean `isotonic`?',
    ),
    (
        '[drivers.complaint]\ngroup = "xyzzy"',
        'drivers.complaint.group can be "", "routine", not `xyzzy`',
    ),
    (
        "[rules.act_within_hours]\nhihg = 3",
        (
            'a name in rules.act_within_hours can be "low", "medium", "high", "critical", not `hihg`, '
            "did you mean `high`?"
        ),
    ),
    (
        '[promises]\ndelivery_channels = ["store", "ap"]',
        (
            'promises.delivery_channels can be "web", "app", "store", "phone", "ivr", "email", "chat", '
            '"sms", "social", "review", "product", "other", not `ap`, did you mean `app`?'
        ),
    ),
    ("[churn.calibration]\nkind = 5", "Expected `str`, got `int` - at `$.churn.calibration.kind`"),
    ("drivers = 3", "Expected `object`, got `int` - at `$.drivers`"),
    ("[drivers]\npurchase = 3", "Expected `object`, got `int` - at `$.drivers.purchase`"),
    ("version = {a = 1}", "Expected `str`, got `object` - at `$.version`"),
    ("sources = {a = 1}", "Expected `array`, got `object` - at `$.sources`"),
    ("[ledger]\nprior = 100", "Expected `float` < 100.0 - at `$.ledger.prior`"),
    ("[ledger]\nprior = 0", "Expected `float` > 0.0 - at `$.ledger.prior`"),
    ("[ledger]\nmass = 0", "Expected `float` > 0.0 - at `$.ledger.mass`"),
    ("[ledger]\nmass = inf", "ledger.mass must be a finite number"),
    ("[churn]\nbase = [nan, 0.0, 0.0]", "churn.base must be a finite number"),
    ("[ledger]\nroutine_cap = 0", "Expected `float` > 0.0 - at `$.ledger.routine_cap`"),
    ("[ledger]\nasymmetry = 0.9", "Expected `float` >= 1.0 - at `$.ledger.asymmetry`"),
    ("[churn]\nrhythm = -1", "Expected `float` >= 0.0 - at `$.churn.rhythm`"),
    ("[churn]\nengagement = 0.1", "Expected `float` <= 0.0 - at `$.churn.engagement`"),
    ("[bands]\nat_risk_below = 35", "bands: critical_below < at_risk_below < steady_below must hold"),
    ("[value]\nlow = 300000", "value.high must lie above value.low"),
    (
        "[promises]\nbusiness_to_hour = 9",
        "promises.business_to_hour must lie after promises.business_from_hour",
    ),
    ('[promises]\ntimezone = "Mars"', "promises.timezone: no IANA time zone `Mars`"),
    (
        "[drivers.complaint]\nvalue = 70",
        "drivers.complaint.value must lie below ledger.prior: it stands as a failure",
    ),
    (
        '[playbook.complain]\ndo = ["call"]',
        "playbook.complain: neither a driver nor a rule, did you mean `complaint`?",
    ),
    ("[rules]\nchurn_close = 0.7", "rules.churn_close must lie below rules.churn_open"),
    ("[rules]\ndrop_close = -10", "rules.drop_close must lie above rules.drop_open"),
    ("[signals]\nwait_long_s = 60", "signals.wait_long_s must not lie below signals.wait_ordinary_s"),
    (
        "[churn]\nalert_horizon_days = 45",
        "churn.alert_horizon_days 45 is not one of churn.horizons_days",
    ),
    ("[churn]\nhorizons_days = [60, 30, 90]", "churn.horizons_days must go up"),
    ("[churn]\nhorizons_days = [30, 30, 90]", "churn.horizons_days must go up"),
    ("[churn]\nhorizons_days = [30, 90]", "churn.base needs one value a horizon"),
    (
        "[churn]\nbase = [0.0, 0.1, 0.0]",
        "churn.base must not go up with the horizon: a longer horizon is never a higher risk",
    ),
    (
        '[rhythm]\nengagement = ["cx.order.place.v1"]',
        "rhythm.engagement: no type `cx.order.place.v1`, did you mean `cx.order.placed.v1`?",
    ),
    ("[drivers.complaint]\ncode = 1", "drivers.complaint: code 1 belongs to `purchase`; use a code once"),
]


@pytest.mark.parametrize(("toml", "problem"), LINT, ids=[problem for _, problem in LINT])
def test_lint(toml: str, problem: str):
    """Each mistake is named in one line of its own, with a suggestion where something is misspelled."""
    assert f"  - {problem}" in refused(**tomllib.loads(toml)).splitlines()


def test_whatever_kind_a_problem_is_of():
    """An unknown key, driver or word keeps no wrong value from being told, and no value the others."""
    message = refused(
        ledgr=1,
        ledger={"prior": "high", "mass": 0},
        drivers={"purchaze": {"weight": 1}, "complaint": {"severity_floor": "grave", "weight": -1}},
        promises={"delivery_channels": ["produkt"]},
        rhythm={"engagement": ["cx.order.placed.v1", 3, 4]},
        rules={"act_within_hours": {"hi": 1, "high": 0}},
    )

    assert [line.removeprefix("  - ").split(",")[0] for line in message.splitlines()[1:]] == [
        "unknown key `ledgr`",
        'drivers.complaint.severity_floor can be "low"',
        'promises.delivery_channels can be "web"',
        'a name in rules.act_within_hours can be "low"',
        "drivers.purchaze: no touchpoint gives this driver",
        "Expected `float`",
        "Expected `float` > 0.0 - at `$.ledger.mass`",
        "Expected `str`",
        "Expected `str`",
        "Expected `float` > 0.0 - at `$.rules.act_within_hours.high`",
        "Expected `float` > 0.0 - at `$.drivers.complaint.weight`",
    ]


def test_what_contradicts_itself_beside_an_unknown_key():
    """Values that are each valid alone are held against each other, whatever else is unknown."""
    assert refused(ledgr=1, rules={"churn_close": 0.9}).splitlines()[1:] == [
        "  - unknown key `ledgr`, did you mean `ledger`?",
        "  - rules.churn_close must lie below rules.churn_open",
    ]


def test_all_problems_at_once():
    """A file with several mistakes is told all of them."""
    message = refused(ledgr=1, rules={"xopen": 1}, drivers={"purchse": {"weight": 1}})

    assert message.splitlines() == [
        "policy is not a valid policy:",
        "  - unknown key `ledgr`, did you mean `ledger`?",
        "  - unknown key `rules.xopen`",
        "  - drivers.purchse: no touchpoint gives this driver, did you mean `purchase`?",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"prior = = 1", "is not TOML: Invalid value (at line 1, column 9)"),
        (b"\xff\xfe", "it is not UTF-8"),
        (b"ledgr = 1", "unknown key `ledgr`"),
    ],
)
def test_unreadable_file(tmp_path: Path, content: bytes, words: str):
    """A file that is no policy is named with its place and what is wrong."""
    path = tmp_path / "mine.toml"
    path.write_bytes(content)

    with pytest.raises(CxError) as caught:
        load_policy(path)

    assert str(path) in caught.value.message
    assert words in caught.value.message
    assert caught.value.code is Exit.USAGE


def test_missing_file(tmp_path: Path):
    """A missing file is named."""
    with pytest.raises(CxError, match=r"cannot read the policy file .*none\.toml: No such file") as caught:
        load_policy(tmp_path / "none.toml")

    assert caught.value.code is Exit.USAGE


def test_hash_does_not_depend_on_the_file():
    """Values that equal the default, in any order, leave the hash as it is."""
    same = policy_from_tables({"rules": {"lost": 0.5}, "ledger": {"mass": 4, "prior": 65}})

    assert same.hash == DEFAULT.hash
    assert len(DEFAULT.hash) == 12


@pytest.mark.parametrize(
    "tables",
    [
        {"version": "other"},
        {"ledger": {"mass": 5}},
        {"rules": {"lost": 0.51}},
        {"drivers": {"purchase": {"weight": 1.01}}},
        {"drivers": {"purchase": {"reason": "another"}}},
    ],
)
def test_hash_changes_with_any_value(tables: dict[str, Any]):
    """Any other value gives another hash."""
    assert policy_from_tables(tables).hash != DEFAULT.hash
