"""Amounts as people write them in each currency."""

import pytest

from schemas.money import DIGITS, minor_digits, money


@pytest.mark.parametrize(
    ("minor_units", "currency", "text"),
    [
        (123_450, "EUR", "1,234.50 EUR"),
        (123_450, "JPY", "123,450 JPY"),
        (99, "KRW", "99 KRW"),
        (1_234_567, "KWD", "1,234.567 KWD"),
        (12_345, "CLF", "1.2345 CLF"),
        (123_450, "", "1,234.50"),
        (0.6, "JPY", "1 JPY"),
    ],
)
def test_an_amount_is_written_with_the_digits_of_its_currency(minor_units: float, currency: str, text: str):
    """Yen and won have no minor unit, dinars have thousandths; without a code two digits are assumed."""
    assert money(minor_units, currency) == text


def test_exceptions_alone_are_listed():
    """A currency with two digits in the table would only be longer to read."""
    assert 2 not in DIGITS.values()
    assert minor_digits("USD") == 2
