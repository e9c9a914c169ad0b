"""Functions of `math` for the hot path: compiled code looks up each import by its name, a constant not."""

import math
from typing import Final

exp2: Final = math.exp2
expm1: Final = math.expm1
log1p: Final = math.log1p
log2: Final = math.log2
