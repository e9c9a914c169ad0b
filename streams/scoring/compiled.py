"""Whether the hot modules are compiled: what is quick in one case can be slow in the other."""

from typing import Final

COMPILED: Final = not __file__.endswith(".py")
