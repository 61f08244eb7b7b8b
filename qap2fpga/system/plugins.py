# SPDX-License-Identifier: Apache-2.0
"""What other installed packages add: backends and boards, by the entry points that they declare."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from qap2fpga.system.errors import QapError

BACKENDS, BOARDS = "qap2fpga.backends", "qap2fpga.hw.boards"


def installed(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of `group` by name; of two of one name the first on the path."""
    points = sorted(entry_points(group=group), key=lambda point: point.name)
    return {point.name: point for point in reversed(points)}


def loaded(point: EntryPoint) -> object:
    """Return what `point` names. Raises `QapError` with its package where that cannot be imported."""
    try:
        return point.load()
    except Exception as error:
        what = f"{point.group} '{point.name}' of {origin(point)} cannot be imported: {error}"
        raise QapError(what, f"uninstall that package, or report this to those who make it: {point.value}") from error


def origin(point: EntryPoint) -> str:
    """Return the package that declares `point`, and its version."""
    return "an unknown package" if point.dist is None else f"{point.dist.name} {point.dist.version}"
