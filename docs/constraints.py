# SPDX-License-Identifier: Apache-2.0
"""The versions that are tested, those of this environment: `python docs/constraints.py > constraints.txt`."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
HEAD = "# What the tests ran with; made by docs/constraints.py. pip install -c constraints.txt .\n"


def declared() -> list[Requirement]:
    """Return what pyproject.toml asks for, of all extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [one for several in project["optional-dependencies"].values() for one in several]
    return [one for one in map(Requirement, [*project["dependencies"], *extras]) if one.name != "qap2fpga"]


def pinned() -> dict[str, str]:
    """Return the version of all that is asked for and installed here, and of what that asks for in turn."""
    versions: dict[str, str] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    left = declared()
    while left:
        wanted = left.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            here = distribution(wanted.name)
        except PackageNotFoundError:
            continue
        versions[key[0]] = here.version
        for line in here.requires or ():
            further = Requirement(line)
            if further.marker is None or any(further.marker.evaluate({"extra": one}) for one in ("", *wanted.extras)):
                left.append(further)
    return dict(sorted(versions.items()))


if __name__ == "__main__":
    print(HEAD + "\n".join(f"{name}=={version}" for name, version in pinned().items()))
