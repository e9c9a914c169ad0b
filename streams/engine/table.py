"""The table: Faust makes its changelog, co-locates and names it; the rows are the lane's."""

from typing import Any, NoReturn

import faust


class LaneTable(faust.Table):  # type: ignore[misc]  # Faust is untyped
    """A table that only the lane's transactions write.

    Faust keeps doing what it does well: the compacted changelog topic, its place in the assignment next to
    the inputs, and `faust tables`. Its own storage stays empty.
    """

    def on_key_set(self, key: Any, value: Any) -> NoReturn:  # noqa: ARG002  # Faust's
        """Refuse: a row written outside a transaction would be ahead of the log."""
        msg = f"row {key!r} was set on the table; rows are written by the handler's effects only"
        raise TypeError(msg)

    def on_key_del(self, key: Any) -> NoReturn:
        """Refuse, as `on_key_set`."""
        msg = f"row {key!r} was deleted from the table; rows are written by the handler's effects only"
        raise TypeError(msg)
