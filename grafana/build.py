"""Write the dashboards and the burn-rate rules from their definitions: python -m grafana.build."""

import json
from collections.abc import Iterator
from pathlib import Path

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.boards.internals import internals
from grafana.boards.objectives import rule_file
from grafana.boards.pipeline import pipeline
from grafana.boards.pulse import pulse
from grafana.boards.trust import trust

HERE = Path(__file__).parent
HEAD = "# Written by `python -m grafana.build` from grafana/boards/objectives.py; a test compares.\n"


def files() -> Iterator[tuple[Path, str]]:
    """Yield every generated file with its content."""
    for make in (pulse, pipeline, internals, trust):
        board = make()
        text = json.dumps(board.build(), cls=JSONEncoder, indent=2, sort_keys=True)
        yield HERE / "dashboards" / f"{board.uid}.json", text + "\n"
    rules = yaml.safe_dump(rule_file(), sort_keys=False, width=120)
    yield HERE / "rules" / "slo.yml", HEAD + rules


if __name__ == "__main__":
    for path, text in files():
        path.write_text(text, encoding="utf-8")
