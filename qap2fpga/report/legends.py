# SPDX-License-Identifier: Apache-2.0
"""What the groups of a plot are called: by that in which they differ, and data by their names, never by a hash."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from qap2fpga.report import study_settings
from qap2fpga.report.studies import Study
from qap2fpga.report.summary import Summary

HASH = re.compile(r"[0-9a-f]{64}")


def data_names(studies: Iterable[Study]) -> dict[str, str]:
    """Return what people call the data of a hash; data of one name are told apart by a number."""
    names: dict[str, str] = {}
    for digest, name in (pair for study in studies for pair in study.data):
        if digest not in names:
            names[digest] = study_settings.unlike(name, names.values())
    return names


def group(one: Summary, basis: str, apart: Sequence[str], data: Mapping[str, str]) -> str:
    """Return what may be compared with `one`, named by that in which not all agree; `data`: names by hash."""
    rests = {**dict(one.basis("accuracy")), **dict(one.basis(basis))}
    return ", ".join(_labelled(name, rests[name], data) for name in apart)


def _labelled(name: str, what: str, data: Mapping[str, str]) -> str:
    """A part of a group's name that can be understood alone."""
    called = data.get(what, "other data" if HASH.fullmatch(what) else what)
    return {"rows": f"accuracy of {what} rows", "data": f"accuracy on {called[:24]}"}.get(name, what)
