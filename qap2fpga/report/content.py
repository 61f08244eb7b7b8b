# SPDX-License-Identifier: Apache-2.0
"""`report.json`, written and read back; `docs/formats.md` documents it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qap2fpga.report import schema
from qap2fpga.system.errors import QapError
from qap2fpga.system.reading import is_file, json_object

SCHEMA = 3
Stored = dict[str, Any]


def dump(report: Stored) -> str:
    """The report as text."""
    return json.dumps(report, indent=2) + "\n"


def load(folder: Path) -> Stored:
    """The report of the build in `folder`. Raises `QapError` when there is none that this program can read."""
    path = folder / "report.json" if folder.is_dir() else folder
    if not is_file(path):
        raise QapError(f"no report in {folder}", "give a build folder, as qap2fpga build leaves it")
    report = json_object(path, schema.HINT)
    if report.get("schema") != SCHEMA:
        raise QapError(f"{path} is not a report of this version", schema.HINT)
    schema.require(report, path)
    return report
