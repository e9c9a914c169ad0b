"""The guard over Faust's and aiokafka's insides: an upgrade that moves a seam is loud."""

import pytest

from streams.engine import versions
from streams.engine.implicit import ImplicitSender, JoiningProduceHandler, RenewingEndTxnHandler
from streams.engine.sending import LaneWriter
from streams.engine.transport import LaneConsumer, LaneProducer, LaneThread
from streams.errors import CxError


def test_every_seam_is_where_the_engine_expects_it() -> None:
    """With the installed versions nothing has moved."""
    assert list(versions.moved_seams()) == []
    versions.check_seams()


def test_the_installed_versions_are_those_the_fault_tests_ran_on() -> None:
    """An upgrade fails here: run `make faults` on it, then add it to CHECKED."""
    for name, version in versions.installed().items():
        assert version in versions.CHECKED[name], f"{name} {version} was never checked: run make faults"


def test_a_seam_that_is_gone_stops_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the seam and the versions to install."""
    monkeypatch.setitem(versions.SEAMS, dict, {"no_such_method": "self"})
    with pytest.raises(CxError, match=r"dict\.no_such_method is gone") as caught:
        versions.check_seams()
    assert "faust-streaming==0.15.3" in caught.value.mend


def test_a_seam_with_another_signature_stops_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parameter more or less is a move."""
    monkeypatch.setitem(versions.SEAMS, LaneConsumer, {"on_out_of_range": "self"})
    with pytest.raises(CxError, match=r"on_out_of_range\(self, positions\), expected \(self\)"):
        versions.check_seams()


@pytest.mark.parametrize(
    "ours",
    [
        LaneConsumer,
        LaneThread,
        LaneProducer,
        LaneWriter,
        ImplicitSender,
        JoiningProduceHandler,
        RenewingEndTxnHandler,
    ],
)
def test_every_override_is_guarded(ours: type) -> None:
    """A method that stock has too, and ours replaces, is in the table of seams."""
    stock = ours.__mro__[1]
    overridden = {
        name
        for name, member in vars(ours).items()
        if callable(member) and hasattr(stock, name) and not name.startswith("__")
    }
    assert overridden <= versions.SEAMS[stock].keys()
