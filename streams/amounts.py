"""Amounts in words for people."""


def counted(number: float, one: str, many: str) -> str:
    """Return a number, rounded to a whole one, with the noun that fits it."""
    said = f"{number:,.0f}"
    return f"{said} {one if said == '1' else many}"
