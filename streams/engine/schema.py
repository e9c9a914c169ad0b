"""The schema of lane topics: chunks go to the agent as they are, undecoded."""

from typing import Any

import faust


class LaneSchema(faust.Schema):  # type: ignore[misc]  # Faust is untyped
    """Hands the chunks on: decoding is the handler's, a bad record is a reject and no exception."""

    def compile(
        self,
        app: Any,
        *,
        on_key_decode_error: Any = None,  # noqa: ARG002  # Faust's signature
        on_value_decode_error: Any = None,  # noqa: ARG002  # Faust's signature
        default_propagate: bool = False,  # noqa: ARG002  # Faust's signature
    ) -> Any:
        """Return the function that makes an event of a message."""
        create = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001  # Faust's signature
            return create(None, message.value, None, message)

        return decode
