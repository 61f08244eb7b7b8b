# SPDX-License-Identifier: Apache-2.0
"""The control of a pipeline, and single faults in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from qap2fpga.prove import handshake, reading
from qap2fpga.prove.cells import NotProven
from qap2fpga.prove.reading import Module
from tests.support.circuits import CLOCK, IN_VALID, MOVE, OUT_READY, chain_of_valid, random_module


def proven(content: dict[str, Any]) -> int:
    module = reading.modules(content)["m"]
    return handshake.prove(module, handshake.ports(module, "in0", "out0"), [module.named["move"][0]])


@pytest.mark.parametrize("stages", [1, 2, 7])
def test_a_chain_of_valid_bits_is_as_deep_as_it_is(stages: int) -> None:
    assert proven(chain_of_valid(stages)) == stages


def change(cell: int, port: str, bits: list[int | str]) -> Callable[[dict[str, Any]], None]:
    def fault(content: dict[str, Any]) -> None:
        content["modules"]["m"]["cells"][f"c{cell}"]["connections"][port] = bits

    return fault


def kind(cell: int, name: str) -> Callable[[dict[str, Any]], None]:
    def fault(content: dict[str, Any]) -> None:
        content["modules"]["m"]["cells"][f"c{cell}"]["type"] = name

    return fault


def initial(content: dict[str, Any]) -> None:
    content["modules"]["m"]["netnames"]["valid"]["attributes"]["init"] = "01"


def turned(port: str, direction: str) -> Callable[[dict[str, Any]], None]:
    def fault(content: dict[str, Any]) -> None:
        content["modules"]["m"]["ports"][port]["direction"] = direction

    return fault


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "moves without asking": (change(1, "A", ["1"]), "a move is another function"),
    "moves only when taken": (kind(1, "$and"), "a move is another function"),
    "ready is another bit": (lambda one: one["modules"]["m"]["ports"]["in0_TREADY"].update(bits=[20]), "a move is"),
    "reset sets": (change(4, "B", ["1"]), "becomes something else"),
    "never reset": (change(4, "S", ["0"]), "becomes something else"),
    "never enabled": (change(3, "S", ["0"]), "not one register"),
    "never enabled later": (change(6, "S", ["0"]), "not one register"),
    "always enabled": (change(3, "S", ["1"]), "becomes something else"),
    "a circle": (change(3, "B", [31]), "not one register"),
    "follows more bits": (change(3, "A", [40]), "follows 2 bits"),
    "TVALID is inverted": (lambda one: one["modules"]["m"]["ports"]["out0_TVALID"].update(bits=[20]), "TVALID is"),
    "begins valid": (initial, "does not begin as 0"),
    "another clock": (change(5, "CLK", [IN_VALID]), "no register of the clock"),
    "a loop": (change(1, "A", [MOVE]), "a loop"),
    "no port": (lambda one: one["modules"]["m"]["ports"].pop("ap_rst_n"), "no port ap_rst_n"),
    "an input that is an output": (turned("in0_TVALID", "output"), "no port in0_TVALID"),
    "an output that is an input": (turned("in0_TREADY", "input"), "no port in0_TREADY"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_the_control_is_seen(name: str) -> None:
    fault, message = FAULTS[name]
    content = chain_of_valid(2)
    fault(content)
    with pytest.raises(NotProven, match=message):
        proven(content)


def with_taken(content: dict[str, Any], begins: str = "0", also: int | str = "0") -> dict[str, Any]:
    """Add a register that is set when a result leaves without a move, which never is: TVALID is not where it is."""
    module, (taken, first) = content["modules"]["m"], (300, 301)
    last = module["ports"]["out0_TVALID"]["bits"][0]
    cells = [
        ("$not", {"A": [taken], "Y": [first]}), ("$logic_and", {"A": [last], "B": [first], "Y": [302]}),
        ("$logic_and", {"A": [last], "B": [OUT_READY], "Y": [303]}), ("$not", {"A": [MOVE], "Y": [304]}),
        ("$and", {"A": [303], "B": [304], "Y": [305]}), ("$or", {"A": [305], "B": [also], "Y": [306]}),
        ("$dff", {"CLK": [CLOCK], "D": [306], "Q": [taken]}),
    ]  # fmt: skip
    for number, (kind, ports) in enumerate(cells):
        module["cells"][f"t{number}"] = {"type": kind, "parameters": {"CLK_POLARITY": "1"}, "connections": ports}
    module["cells"]["c0"]["connections"]["A"] = [302]
    module["ports"]["out0_TVALID"]["bits"] = [302]
    module["netnames"]["taken"] = {"bits": [taken], "attributes": {"init": begins}}
    return content


def test_registers_that_never_change_are_constants() -> None:
    assert proven(with_taken(chain_of_valid(3))) == 3
    module = reading.modules(with_taken(chain_of_valid(1)))["m"]
    assert handshake.fixed(module) == {300: 0}
    assert handshake.fixed(reading.modules(chain_of_valid(2))["m"]) == {}


@pytest.mark.parametrize("content", [
    with_taken(chain_of_valid(), begins="1"), with_taken(chain_of_valid(), begins="x"),
    with_taken(chain_of_valid(), also=IN_VALID), with_taken(chain_of_valid(), also="1"),
])  # fmt: skip
def test_a_register_that_may_change_is_none(content: dict[str, Any]) -> None:
    assert handshake.fixed(reading.modules(content)["m"]) == {}
    with pytest.raises(NotProven, match="not one register"):
        proven(content)


def test_a_register_of_many_bits_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "MOST", 1)
    assert handshake.fixed(reading.modules(with_taken(chain_of_valid()))["m"]) == {}


def every_turn(module: Module) -> dict[int, int]:
    """As `fixed`, where every register is looked at in every turn."""
    kept = {one.out: one for one in module.registers if one.initial in ("0", "1")}
    while True:
        control = handshake.Control(module, {bit: int(one.initial) for bit, one in kept.items()})
        stay = {bit: one for bit, one in kept.items() if control.keeps(one)}
        if stay == kept:
            return {bit: int(one.initial) for bit, one in kept.items()}
        kept = stay


def test_registers_that_are_looked_at_when_it_is_their_turn_are_the_same() -> None:
    sizes = set()
    for seed in range(200):
        module = random_module(np.random.default_rng(seed), registers=12)
        expected = every_turn(module)
        assert handshake.fixed.__wrapped__(module) == expected
        sizes.add(len(expected))
    assert min(sizes) == 0 and max(sizes) > 2 and len(sizes) > 3


def test_a_register_in_the_middle_of_a_long_pipeline_is_looked_at_once_or_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    keeps = handshake.Control.keeps
    monkeypatch.setattr(
        handshake.Control, "keeps", lambda control, one: (asked.append(one.out), keeps(control, one))[1]
    )
    assert handshake.fixed.__wrapped__(reading.modules(chain_of_valid(60))["m"]) == {}
    assert max(Counter(asked).values()) <= 3


def test_a_stage_that_is_left_out_is_a_shorter_chain() -> None:
    content = chain_of_valid(2)
    change(6, "B", [IN_VALID])(content)
    assert proven(content) == 1
