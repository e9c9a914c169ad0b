"""Functions of `math` for the hot path.

Compiled code calls `math.exp` and `math.log` of the C library directly, and all others through Python, with
numbers made into objects both ways; and it looks up each import by its name, a constant not.
"""

import math
from typing import Final, NoReturn

from streams.scoring.state import damaged_row

expm1: Final = math.expm1
log1p: Final = math.log1p
_LN_2: Final = 0.6931471805599453
_LOG2_E: Final = 1.4426950408889634


_MOST_HALF_LIVES: Final = 700.0
"""A row has its sums within 200 half-lives of an event; from 1,024 on there are no numbers."""


def exp2(x: float) -> float:
    """Return 2 ** x within |x| units of its last place; raises CxError beyond what rows and policies hold."""
    if x > _MOST_HALF_LIVES:
        _refuse(x)
    return math.exp(x * _LN_2)


def log2(x: float) -> float:
    """Return the binary logarithm, to some units of its last place; raises CxError where there is none."""
    if x <= 0.0:
        _refuse(x)
    return math.log(x) * _LOG2_E


def _refuse(x: float) -> NoReturn:
    """Refuse what only a damaged row can have."""
    why = f"one of its times or moments is none ({x:.0f})"
    raise damaged_row(why)


def rounded(number: float) -> int:
    """Return `round(number)`, of 0 to 2**53, without the call: half a unit is rounded to the even one."""
    whole = int(number)
    rest = number - whole
    if rest > 0.5 or (rest == 0.5 and whole & 1):  # noqa: PLR2004  # a half
        whole += 1
    return whole
