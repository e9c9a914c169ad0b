"""One rule for what somebody names and we cannot read."""

import os
from errno import EACCES, EISDIR, EPERM
from pathlib import Path

import pytest

from streams.errors import Exit, unreadable

MEND = "name a TOML file"


@pytest.mark.parametrize("kept_out", [EACCES, EPERM])
def test_who_is_kept_out_is_told_of_the_rights(kept_out: int):
    """The right file was named: to name another is no way out."""
    error = unreadable("p.toml", OSError(kept_out, os.strerror(kept_out)), MEND, what="the policy file")
    assert error.message == f"cannot read the policy file p.toml: {os.strerror(kept_out)}"
    assert error.mend == "let this user read it, and enter the folders above it"
    assert error.code is Exit.USAGE


def test_what_is_no_file_has_the_way_out_of_its_place():
    """What the system says is passed on, and what to name instead."""
    error = unreadable("p.toml", OSError(EISDIR, "Is a directory"), MEND)
    assert str(error) == f"cannot read p.toml: Is a directory\n  {MEND}"
    assert error.code is Exit.USAGE


def test_an_error_without_words_of_the_system_speaks_for_itself():
    """Libraries raise OSError with a sentence alone."""
    assert unreadable("p.toml", OSError("timed out"), MEND).message == "cannot read p.toml: timed out"


def test_no_byte_of_another_encoding_is_shown():
    """It may be one of a secret."""
    with pytest.raises(UnicodeDecodeError) as raised:
        b"\xe9".decode()
    error = unreadable(Path("key"), raised.value, MEND, what="the secret's file")
    assert str(error) == "cannot read the secret's file key: it is not UTF-8\n  save it as UTF-8"
    assert error.code is Exit.USAGE
