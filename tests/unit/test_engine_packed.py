"""What is packed by hand has the bytes that aiokafka's tables would give."""

from io import BytesIO
from typing import Any

from aiokafka.protocol.api import RequestHeader_v2
from aiokafka.protocol.produce import ProduceRequest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.packed import JoiningProduce, ProduceResponseV12, RenewingEndTxn
from tests.produced import JOINED, JOINING, SPOKEN


def test_a_header_is_that_of_aiokafka() -> None:
    """Packed by hand or field by field: the bytes are the same."""
    request = RenewingEndTxn("app-0", 7, 3, 1).prepare(SPOKEN)
    wanted = RequestHeader_v2(request, 9, "writer-ü").encode()
    assert request.build_request_header(correlation_id=9, client_id="writer-ü").encode() == wanted


NAMES = st.text(max_size=200)
REFUSED = st.lists(st.tuples(st.integers(0, 9), st.none() | NAMES, st.just({})), max_size=2)
TAGS = st.sampled_from([{}, {}, {1: b"\1x"}])


@given(
    st.lists(
        st.tuples(
            NAMES,
            st.lists(
                st.tuples(*[st.integers(0, 99)] * 5, REFUSED, st.none() | NAMES, TAGS), min_size=1, max_size=3
            ),
            TAGS,
        ),
        max_size=3,
    )
)
def test_an_answer_is_read_as_aiokafka_would(topics: list[Any]) -> None:
    """Whatever else the broker tells of a batch, or will tell one day."""
    read = ProduceResponseV12.decode(BytesIO(JOINED.encode((topics, 0, {}))))
    assert read.topics == [(topic, [each[:-1] for each in found]) for topic, found, _ in topics]


@given(NAMES, st.lists(st.tuples(NAMES, st.lists(st.tuples(st.integers(0, 99), st.binary(max_size=300))))))
def test_a_request_is_what_aiokafka_would_send(name: str, topics: list[Any]) -> None:
    """Packed by hand or field by field: the bytes are the same."""
    tagged = [(topic, [(number, data, {}) for number, data in found], {}) for topic, found in topics]
    wanted = JOINING.encode((name, -1, 5_000, tagged, {}))
    assert JoiningProduce(ProduceRequest(name, -1, 5_000, topics)).prepare(SPOKEN).encode() == wanted
