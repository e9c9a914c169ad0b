"""What we tell people to copy makes keys that nobody else can read."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from streams import suppression
from streams.delivery import signing

ROOT = Path(__file__).resolve().parents[2]
(IN_README,) = re.findall(
    r"`([^`]*openssl rand[^`]*)`, then `docker compose up`", (ROOT / "README.md").read_text()
)


pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def mode(path: Path) -> int:
    """Return who may do what with a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


def follow(recipe: str, folder: Path) -> None:
    """Do as told in `folder`, under the usual umask."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    subprocess.run(["sh", "-c", recipe], cwd=folder, umask=0o022, check=True, env=env)


@pytest.mark.parametrize(
    ("recipe", "made"),
    [
        (suppression.MEND.partition(", and set ")[0], "forget.key"),
        (signing.NEW_KEY.replace("FILE", "care.key"), "care.key"),
    ],
)
def test_a_key_made_as_told_is_its_owners_alone(recipe: str, made: str, tmp_path: Path):
    """The doctor would warn of a key that everybody reads."""
    follow(recipe, tmp_path)
    (key,) = tmp_path.iterdir()
    assert (key.name, mode(key)) == (made, 0o600)
    assert key.stat().st_size > signing.LEAST_BYTES


def test_keys_for_containers_lie_where_nobody_else_comes(tmp_path: Path):
    """Their users are others than the file's owner and have to read it; on the machine the folder is shut."""
    follow(IN_README, tmp_path)
    (keys,) = tmp_path.iterdir()
    assert mode(keys) == 0o700
    assert {each.name: mode(each) for each in keys.iterdir()} == {"token": 0o644, "forget.key": 0o644}
