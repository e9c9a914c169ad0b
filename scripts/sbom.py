"""Write what a worker is made of as CycloneDX: python scripts/sbom.py > sbom.json.

Everything that the installed distribution needs at run time, with versions, licences and package URLs, from
the metadata of the environment. Extras and tools of development are left out: an image has none of them.
"""

import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any

ROOT = "cx-signals"
REQUIREMENT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)([^;]*)(?:;(.*))?$")
LICENSE_CHARS = 60
"""Some metadata have the whole text of a licence where its name belongs."""


def components(root: str = ROOT) -> dict[str, Distribution]:
    """Return the distributions that `root` needs at run time, itself first, by normalised name."""
    found: dict[str, Distribution] = {}
    waiting = [root]
    while waiting:
        name = normalised(waiting.pop())
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # needed on another platform only: its marker kept it out
            continue
        waiting += needed(found[name])
    return found


def needed(found: Distribution) -> Iterator[str]:
    """Yield what a distribution requires without any extra."""
    for line in found.requires or ():
        parsed = REQUIREMENT.match(line)
        if parsed and "extra" not in (parsed[3] or ""):
            yield parsed[1]


def normalised(name: str) -> str:
    """Return the name as package indexes have it."""
    return re.sub(r"[-_.]+", "-", name.split("[", maxsplit=1)[0]).lower()


def document(root: str = ROOT) -> dict[str, Any]:
    """Return the bill of materials of `root` in CycloneDX 1.6."""
    found = components(root)
    known = {name: reference(name, each) for name, each in found.items()}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component(root, found[root]) | {"type": "application"}},
        "components": [component(name, each) for name, each in sorted(found.items()) if name != root],
        "dependencies": [
            {
                "ref": known[name],
                "dependsOn": sorted({known[n] for n in map(normalised, needed(each)) if n in known}),
            }
            for name, each in sorted(found.items())
        ],
    }


def component(name: str, found: Distribution) -> dict[str, Any]:
    """Return one component."""
    made: dict[str, Any] = {
        "type": "library",
        "name": name,
        "version": found.version,
        "purl": reference(name, found),
        "bom-ref": reference(name, found),
    }
    if license_ := license_of(found):
        made["licenses"] = [{"license": {"name": license_}}]
    return made


def reference(name: str, found: Distribution) -> str:
    """Return the package URL."""
    return f"pkg:pypi/{name}@{found.version}"


def license_of(found: Distribution) -> str:
    """Return the licence's name by the metadata; empty where they have none."""
    metadata = found.metadata
    named = metadata.get("License-Expression") or metadata.get("License") or ""
    if named and "\n" not in named and len(named) <= LICENSE_CHARS:
        return str(named)
    classifiers = metadata.get_all("Classifier") or []
    names = [each.rsplit(" :: ", 1)[1] for each in classifiers if each.startswith("License :: ")]
    return " AND ".join(names)


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=2)
    sys.stdout.write("\n")
