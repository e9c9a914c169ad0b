"""Who is heard when more ask than there are threads for."""

from streams.observe.gate import Gate


def test_the_one_that_is_silent_longest_makes_room():
    """A new connection is let in, and the oldest that has not asked is to be shut for it."""
    gate: Gate[str] = Gate(2, 1)
    assert gate.enter("a") == gate.enter("b") == (True, None)
    assert gate.enter("c") == (True, "a")
    assert not gate.asked("a")
    assert gate.asked("b")
    assert gate.enter("d") == (True, None)


def test_who_has_asked_is_not_shut():
    """A place among those who wait is free again once the request was read."""
    gate: Gate[str] = Gate(1, 1)
    gate.enter("a")
    assert gate.asked("a")
    assert gate.enter("b") == (True, None)


def test_who_leaves_without_asking_makes_room():
    """A connection that was closed in silence is not shut a second time."""
    gate: Gate[str] = Gate(1, 1)
    gate.enter("a")
    gate.leave("a")
    assert gate.enter("b") == (True, None)


def test_threads_are_bounded_whatever_comes():
    """Connections that were turned away count until their thread has ended."""
    gate: Gate[int] = Gate(1, 1)
    assert [gate.enter(number)[0] for number in range(5)] == [True, True, True, True, False]
    gate.leave(0)
    assert gate.enter(5) == (True, 3)
    assert gate.enter(6) == (False, None)


def test_slots_of_the_open_paths_are_apart():
    """Answers of other paths cannot take them, nor the other way round; each is given back."""
    gate: Gate[str] = Gate(1, 1)
    with gate.slot(is_open=False) as first, gate.slot(is_open=True) as probe:
        assert first
        assert probe
        for is_open in (False, True):
            with gate.slot(is_open=is_open) as another:
                assert not another
    for is_open in (False, True):
        with gate.slot(is_open=is_open) as again:
            assert again
