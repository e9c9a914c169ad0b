"""Codes of currencies as ISO 4217 has them: three capital letters."""

from typing import Any, Final

from mypy_extensions import mypyc_attr

from schemas.fields import FieldError

_LETTERS: Final = 3
_A: Final = 65
_Z: Final = 90


def hold_currency(data: Any) -> None:
    """Require three capital letters of the `currency` of an event's data, where it has one.

    `fields.Currency` states the same for readers of the contract only: given the pattern, the decoder calls
    Python's regular expressions for every amount, which costs as much as ten other fields.
    """
    code = data.currency
    if code is not None and not _is_code(code):
        mend = "Send the three capital letters of ISO 4217, such as EUR."
        raise FieldError(field="currency", seen="string", mend=mend)


def _is_code(text: str) -> bool:
    if len(text) != _LETTERS:
        return False
    return _A <= ord(text[0]) <= _Z and _A <= ord(text[1]) <= _Z and _A <= ord(text[2]) <= _Z


@mypyc_attr(native_class=False)
class Priced:
    """Data with a currency; a base beside `Data`."""

    __slots__ = ()

    __post_init__ = hold_currency
