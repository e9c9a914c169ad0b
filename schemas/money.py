"""Amounts for people: minor units as the currency is written, by ISO 4217.

Nearly every currency has two digits of minor units; those that have not are listed. Source: ISO 4217 list one
(SIX, https://www.six-group.com/en/products-services/financial-information/data-standards.html), column
"minor unit".
"""

from typing import Final

USUAL: Final = 2
DIGITS: Final = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0),
    **dict.fromkeys(("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""Digits of the minor unit of the currencies that have not two."""


def minor_digits(currency: str) -> int:
    """Return the digits of a currency's minor unit; a code that is not known has the usual two."""
    return DIGITS.get(currency, USUAL)


def money(minor_units: float, currency: str) -> str:
    """Return an amount with its currency, such as 1,234.50 EUR or 1,234 JPY; without a code the number."""
    digits = minor_digits(currency)
    return f"{minor_units / 10**digits:,.{digits}f} {currency}".rstrip()
