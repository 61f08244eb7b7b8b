# SPDX-License-Identifier: Apache-2.0
"""The report as values for other programs: CSV with one row a build or checkpoint, and JSON."""

from __future__ import annotations

import csv
import io
import json

from qap2fpga.report import summary
from qap2fpga.report.gather import Gathered
from qap2fpga.system.codec import encode
from qap2fpga.system.names import cell


def as_csv(gathered: Gathered) -> str:
    """A header and one row for each build and each checkpoint; what is not known is an empty cell.

    The columns are the fields of `Summary`, listed in `docs/reading-the-report.md`.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, summary.columns(), lineterminator="\n")
    writer.writeheader()
    builds = [build.summary for build in gathered.builds]
    checkpoints = [one for study in gathered.studies for one in study.checkpoints]
    writer.writerows(
        {name: cell(value) for name, value in summary.values(one).items()} for one in (*builds, *checkpoints)
    )
    return stream.getvalue()


def as_json(gathered: Gathered) -> str:
    """The report of one build as it is; of several things, a report for each build and the checkpoints of each study,
    by name."""
    reports = {build.name: encode(build.report) for build in gathered.builds}
    if len(reports) == 1 and not gathered.studies:
        return json.dumps(next(iter(reports.values())), indent=2)
    values = {
        study.name: {"checkpoints": [summary.values(one) for one in study.checkpoints]} for study in gathered.studies
    }
    return json.dumps(reports | values, indent=2)
