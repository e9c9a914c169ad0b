"""Codes of currencies: what the contract states of them holds for every type that has one."""

import orjson
import pytest

from schemas import export
from schemas.codec import decode_line
from schemas.rejects import Reject
from schemas.touchpoints import TYPES

PRICED = [info.name for info in TYPES.values() if "currency" in info.data.__struct_fields__]


def in_currency(name: str, code: str) -> bytes:
    """Return the example of a type, in another currency."""
    event = orjson.loads(export.example(name))
    return orjson.dumps({**event, "data": {**event.get("data", {}), "currency": code}})


@pytest.mark.parametrize("name", PRICED)
def test_three_capital_letters_are_a_currency(name: str):
    """Every type with an amount takes a code, of whatever currency."""
    found = decode_line(in_currency(name, "AZM"))

    assert not isinstance(found, Reject)
    assert found.data.currency == "AZM"


@pytest.mark.parametrize("name", PRICED)
@pytest.mark.parametrize("code", ["", "EU", "EURO", "EUR\n", "eUR", "EuR", "EUr", "EU[", "1UR", "E€R"])
def test_anything_else_is_none(name: str, code: str):
    """No type with an amount takes another text, whichever letter is wrong."""
    found = decode_line(in_currency(name, code))

    assert isinstance(found, Reject)
    assert found.path == "$.data.currency"
    assert found.mend == "Send the three capital letters of ISO 4217, such as EUR."
