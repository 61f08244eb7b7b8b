# SPDX-License-Identifier: Apache-2.0
"""`report.json`, written and read back; `docs/formats.md` documents it."""

from __future__ import annotations

import json
from pathlib import Path

from qap2fpga.report import schema
from qap2fpga.report.schema import Report
from qap2fpga.system.codec import encode
from qap2fpga.system.errors import QapError
from qap2fpga.system.reading import is_file, json_object

SCHEMA = 3


def dump(report: Report) -> str:
    """Return the report as text."""
    return json.dumps(encode(report), indent=2) + "\n"


def load(folder: Path) -> Report:
    """Return the report of the build in `folder`. Raises `QapError` when there is none that this program can read."""
    path = folder / "report.json" if folder.is_dir() else folder
    if not is_file(path):
        raise QapError(f"no report in {folder}", "give a build folder, as qap2fpga build leaves it")
    tree = json_object(path, schema.HINT)
    if tree.get("schema") != SCHEMA:
        raise QapError(f"{path} is not a report of this version", schema.HINT)
    return schema.read(tree, str(path))
