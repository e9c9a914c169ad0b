"""Functions of `math` for the hot path.

Compiled code calls `math.exp` and `math.log` of the C library directly, and all others through Python, with
numbers made into objects both ways; and it looks up each import by its name, a constant not.
"""

import math
from typing import Final

expm1: Final = math.expm1
log1p: Final = math.log1p
_LN_2: Final = 0.6931471805599453
_LOG2_E: Final = 1.4426950408889634


def exp2(x: float) -> float:
    """Return 2 ** x within |x| units of its last place; raises OverflowError beyond the largest float."""
    return math.exp(x * _LN_2)


def log2(x: float) -> float:
    """Return the binary logarithm, to some units of its last place."""
    return math.log(x) * _LOG2_E


def rounded(number: float) -> int:
    """Return `round(number)`, of 0 to 2**53, without the call: half a unit is rounded to the even one."""
    whole = int(number)
    rest = number - whole
    if rest > 0.5 or (rest == 0.5 and whole & 1):  # noqa: PLR2004  # a half
        whole += 1
    return whole
