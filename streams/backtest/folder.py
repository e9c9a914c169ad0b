"""The folder of a report, looked at before the minutes that a replay may take."""

import os
from importlib.util import find_spec
from pathlib import Path

from streams.errors import CxError, Exit


def demand(folder: Path) -> None:
    """Raise CxError where no report can be written into `folder`, or no picture be drawn."""
    if find_spec("matplotlib") is None:
        msg = "the pictures of a report need matplotlib"
        raise CxError(msg, mend="pip install 'cx-signals[report]'")
    nearest = next(each for each in (folder, *folder.absolute().parents) if os.path.exists(each))  # noqa: PTH110  # a place that we may not look at is no place
    if not nearest.is_dir():
        raise unwritable(folder, f"{nearest} is no folder")
    if not os.access(nearest, os.W_OK):
        raise unwritable(folder, f"nothing may be written to {nearest}")


def unwritable(folder: Path, why: str) -> CxError:
    """Return the error of a folder that cannot be written."""
    msg = f"cannot write the report to {folder}: {why}"
    return CxError(msg, mend="give --report a folder that you may write to", code=Exit.USAGE)
