# SPDX-License-Identifier: Apache-2.0
"""The documentation as it is installed, and how a message leads to a page of it."""

from __future__ import annotations

import os

from qap2fpga.system.errors import QapError, nearest
from qap2fpga.system.files import shipped

FOLDER = "docs"
# Where the site is, for those who put it on a server: messages then lead there.
ADDRESS = "QAP2FPGA_DOCS"


def topics() -> list[str]:
    """Return the names of all pages."""
    root = shipped(FOLDER)
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.md"))


def text(topic: str) -> str:
    """Return the Markdown of a page. Raises `QapError` with the nearest name for one that is not there."""
    if topic not in topics():
        raise QapError(f"there is no page '{topic}'", nearest(topic, topics()))
    return (shipped(FOLDER) / f"{topic}.md").read_text(encoding="utf-8")


def title(topic: str) -> str:
    """Return the first heading of a page."""
    lines = text(topic).splitlines()
    return next((line.removeprefix("# ") for line in lines if line.startswith("# ")), topic)


def place(topic: str) -> str:
    """Return where a reader of a message finds `topic`: the command that shows it, or its address on a server."""
    address = os.environ.get(ADDRESS, "").rstrip("/")
    return f"{address}/{topic}.html" if address else f"`qap2fpga help {topic}`"
