"""Signatures are those of Standard Webhooks, with as many keys as are valid."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest

from streams.delivery.signing import Key, read_key, sign
from streams.errors import CxError, Exit
from tests.delivering import SECRET

VECTOR = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""The example of the specification's own libraries."""


def key_file(folder: Path, text: str) -> str:
    """Write a file of a key and return its path."""
    path = folder / "a.key"
    path.write_text(text)
    return str(path)


def test_the_signature_is_that_of_the_specification(tmp_path: Path):
    """The published example of Standard Webhooks is signed to the byte."""
    key = read_key(key_file(tmp_path, VECTOR + "\n"))
    headers = sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [key])
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_each_valid_key_signs():
    """While a key is changed, the receiver finds a signature by the one that it knows."""
    old, new = Key(b"o" * 24), Key(b"n" * 24)
    signature = sign("m", 1, b"{}", [new, old])["webhook-signature"]
    assert signature.split(" ") == [sign("m", 1, b"{}", [key])["webhook-signature"] for key in (new, old)]


def test_without_a_key_there_is_no_signature():
    """Slack asks for none; the id and the time are still there."""
    assert set(sign("m", 1, b"{}", [])) == {"webhook-id", "webhook-timestamp"}


def test_a_key_is_not_printed(tmp_path: Path):
    """A log line or a traceback with a key shows none of it."""
    assert repr(read_key(key_file(tmp_path, SECRET))) == "Key(***)"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0123456789abcdef01234567",
        "whsec_",
        "whsec_***",
        "whsec_" + base64.b64encode(b"k" * 23).decode(),
        "whsec_" + base64.b64encode(b"k" * 65).decode(),
    ],
)
def test_what_is_no_key_is_refused_without_being_shown(tmp_path: Path, text: str):
    """Too short, too long, without the prefix: the message names the file, not its content."""
    path = key_file(tmp_path, text)
    with pytest.raises(CxError) as refused:
        read_key(path)
    assert refused.value.code == Exit.USAGE
    assert path in refused.value.message
    secret = text.removeprefix("whsec_")
    assert not secret or secret not in str(refused.value)
    assert f"> {path}" in refused.value.mend


PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def documented_verify() -> Any:
    """Return the function that the page gives to receivers."""
    (block,) = re.findall(r"^```python\n(.*?def verify.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102  # the page's own
    return names["verify"]


def test_the_receiver_of_the_page_takes_what_is_sent(tmp_path: Path):
    """What docs/operations.md tells receivers to do accepts our messages, during a change of keys too."""
    verify = documented_verify()
    old = "whsec_" + base64.b64encode(b"o" * 32).decode()
    keys = [read_key(key_file(tmp_path, SECRET)), read_key(key_file(tmp_path, old))]
    headers = sign("msg_1", 1_790_000_000, b'{"a":1}', keys)
    for secret in (SECRET, old + "\n"):
        assert verify(secret, headers, b'{"a":1}', 1_790_000_010.0)


def test_the_receiver_of_the_page_refuses_what_is_not_ours(tmp_path: Path):
    """Another body, another key, another id or an old message is not accepted."""
    verify = documented_verify()
    headers = sign("msg_1", 1_790_000_000, b"{}", [read_key(key_file(tmp_path, SECRET))])
    other = "whsec_" + base64.b64encode(b"x" * 32).decode()
    assert not verify(SECRET, headers, b"{ }", 1_790_000_010.0)
    assert not verify(other, headers, b"{}", 1_790_000_010.0)
    assert not verify(SECRET, headers | {"webhook-id": "msg_2"}, b"{}", 1_790_000_010.0)
    assert not verify(SECRET, headers, b"{}", 1_790_000_301.0)
