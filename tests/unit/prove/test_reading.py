# SPDX-License-Identifier: Apache-2.0
"""Yosys' JSON as modules."""

from __future__ import annotations

import pytest

from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.reading import UNDRIVEN, Reading, modules
from tests.support.circuits import content


def test_a_design_without_a_netlist_has_none() -> None:
    one = content({"a": [2]}, {"y": [2, "x", "1"]}, [])
    assert Reading({"flat": one}, "m").netlist == {} and Reading({"netlist": one}, "m").netlist.keys() == {"m"}
    assert modules(one)["m"].outputs == {"y": (2, UNDRIVEN, 1)}


def test_a_port_in_both_directions_is_not_known() -> None:
    one = content({"a": [2]}, {"y": [2]}, [])
    one["modules"]["m"]["ports"]["a"]["direction"] = "inout"
    with pytest.raises(NotProven, match="neither input nor output"):
        modules(one)
