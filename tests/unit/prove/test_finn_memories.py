# SPDX-License-Identifier: Apache-2.0
"""Instances and memories as Yosys reads them: what is written, or has no content, is not taken for a memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.finn.memories import Instance, instances

ROM: dict[str, Any] = {
    "memories": {"rom": {"width": 2, "size": 2, "start_offset": 0}},
    "cells": {
        "init": {"type": "$meminit_v2", "parameters": {"MEMID": "\\rom"},
                 "connections": {"ADDR": ["0", "0"], "DATA": ["1", "0", "1", "1"], "EN": ["1", "1"]}},
        "read": {"type": "$memrd_v2", "parameters": {"MEMID": "\\rom"}, "connections": {"ADDR": [3]}},
    },
}  # fmt: skip
NUMBER = {"N": "0101", "TEXT": "a"}


def contents() -> dict[str, Any]:
    top = {"cells": {"u": {"type": "kind$u", "connections": {"a": [2, "0"]}}, "$1": {"type": "$and"}}}
    inside = {"cells": {"core": {"type": "rom$u", "connections": {}}}}
    return copy.deepcopy({"top": top, "kind$u": inside, "rom$u": ROM})


def calls() -> dict[str, Any]:
    wrapper = {"cells": {"core": {"type": "rom", "parameters": NUMBER, "connections": {}}}}
    return {"top": {"cells": {"u": {"type": "kind", "parameters": {}, "connections": {}}}}, "kind": wrapper}


def instance(content: dict[str, Any]) -> Instance:
    return instances(calls(), content, "top")["u"]


def test_a_wrapper_stands_for_what_it_wraps() -> None:
    one = instance(contents())
    assert (one.kind, one.number("N"), dict(one.nets)) == ("rom", 5, {"a": (2, "0")})
    assert one.memory("rom").bits.tolist() == [[1, 0], [1, 1]]
    one.require(N=5)
    with pytest.raises(NotProven, match="u: N is 5, not 4"):
        one.require(N=4)
    for name in ("TEXT", "OTHER"):
        with pytest.raises(NotProven, match=f"u: rom has no number {name}"):
            one.number(name)
    with pytest.raises(NotProven, match="0 modules in it have a memory other"):
        one.memory("other")


def test_readers_that_see_other_instances_are_not_trusted() -> None:
    with pytest.raises(NotProven, match="two readers see other instances"):
        instances(calls(), {**contents(), "top": {"cells": {}}}, "top")
    with pytest.raises(NotProven, match="there is no module none"):
        instances(calls(), contents(), "none")


def put(key: str, value: list[str | int]) -> Callable[[dict[str, Any]], None]:
    """Return what changes a port of the cell that gives a memory its content."""
    return lambda rom: rom["cells"]["init"]["connections"].update({key: value})


def written(rom: dict[str, Any]) -> None:
    rom["cells"]["write"] = {"type": "$memwr_v2", "parameters": {"MEMID": "\\rom"}, "connections": {}}


@pytest.mark.parametrize(("change", "message"), [
    (put("DATA", ["1", "0", "1", "x"]), "the word at address 1 has no content"),
    (put("DATA", ["1", "0"]), "the word at address 1 has no content"),
    (put("ADDR", ["1", "0"]), "its content lies elsewhere"), (put("EN", ["1", "0"]), "its content lies elsewhere"),
    (put("ADDR", [7, "0"]), "an address that is no constant"), (written, "u: rom is written"),
])  # fmt: skip
def test_a_memory_without_contents_of_its_own_is_none(change: Callable[[dict[str, Any]], None], message: str) -> None:
    content = contents()
    change(content["rom$u"])
    with pytest.raises(NotProven, match=message):
        instance(content).memory("rom")
