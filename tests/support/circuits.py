# SPDX-License-Identifier: Apache-2.0
"""Small modules in Yosys' JSON, as its readers would give them, for the proofs."""

from __future__ import annotations

from typing import Any

import numpy as np

from qap2fpga.prove import reading
from qap2fpga.prove.reading import Module

Bit = int | str
Cell = tuple[str, dict[str, str], dict[str, list[Bit]]]
CLOCK, MOVE, RESET, IN_VALID, OUT_READY = 2, 3, 4, 5, 6


def content(
    inputs: dict[str, list[Bit]], outputs: dict[str, list[Bit]], cells: list[Cell], names: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return a module `m`; `names` are the bits of wires, or (bits, initial value)."""
    wires = {
        name: {"bits": one[0], "attributes": {"init": one[1]}} if isinstance(one, tuple) else {"bits": one}
        for name, one in {**inputs, **outputs, **(names or {})}.items()
    }
    ports = {name: {"direction": "input", "bits": bits} for name, bits in inputs.items()}
    ports |= {name: {"direction": "output", "bits": bits} for name, bits in outputs.items()}
    numbered = {f"c{number}": {"type": kind, "parameters": parameters, "connections": connections}
                for number, (kind, parameters, connections) in enumerate(cells)}  # fmt: skip
    return {"modules": {"m": {"ports": ports, "cells": numbered, "netnames": wires}}}


def module(
    inputs: dict[str, list[Bit]], outputs: dict[str, list[Bit]], cells: list[Cell], names: dict[str, Any] | None = None
) -> Module:
    """Return the module of `content`."""
    return reading.modules(content(inputs, outputs, cells, names))["m"]


def register(data: list[Bit], out: list[Bit], between: list[Bit], *, enable: Bit = MOVE) -> list[Cell]:
    """Return registers with an enable, as the reader of Verilog gives them; `between` are nets of their own."""
    return [
        ("$mux", {}, {"S": [enable], "A": out, "B": data, "Y": between}),
        ("$dff", {"CLK_POLARITY": "1"}, {"CLK": [CLOCK], "D": between, "Q": out}),
    ]


def random_module(random: np.random.Generator, *, registers: int, cells: int = 25) -> Module:
    """Return logic without loops over inputs `x` and registers, which take any of its bits and often keep their own."""
    inputs, held = list(range(10, 16)), list(range(50, 50 + registers))
    known: list[Bit] = [*inputs, *held, "0", "1"]
    made: list[Cell] = []
    for number in range(cells):
        kind = str(random.choice(["$and", "$or", "$not", "$mux"]))
        ports = {"$not": "A", "$mux": "SAB"}.get(kind, "AB")
        made.append((kind, {}, {**{port: [known[random.integers(len(known))]] for port in ports}, "Y": [100 + number]}))
        known.append(100 + number)
    for number, own in enumerate(held):
        data = known[random.integers(len(known))]
        keep, between = known[random.integers(len(known))], 200 + number
        made += [("$mux", {}, {"S": [keep], "A": [own], "B": [data], "Y": [between]}),
                 ("$dff", {"CLK_POLARITY": "1"}, {"CLK": [CLOCK], "D": [between], "Q": [own]})]  # fmt: skip
    begin = "".join(str(random.choice(["0", "1", "x"], p=[0.45, 0.45, 0.1])) for _ in held)
    names: dict[str, Any] = {"held": (held, begin)} if held else {}
    return module({"ap_clk": [CLOCK], "x": list(inputs)}, {"y": [99 + cells]}, made, names)


def chain_of_valid(stages: int = 2) -> dict[str, Any]:
    """Return the control of a pipeline: its ports, and a valid bit per stage from net 30 on."""
    first = 30
    last = first + stages - 1
    cells: list[Cell] = [
        ("$logic_not", {}, {"A": [last], "Y": [20]}),
        ("$logic_or", {}, {"A": [20], "B": [OUT_READY], "Y": [MOVE]}),
        ("$logic_not", {}, {"A": [RESET], "Y": [21]}),
    ]
    for stage in range(stages):
        before = IN_VALID if stage == 0 else first + stage - 1
        own = first + stage
        cells.append(("$mux", {}, {"S": [MOVE], "A": [own], "B": [before], "Y": [100 + stage]}))
        cells.append(("$mux", {}, {"S": [21], "A": [100 + stage], "B": ["0"], "Y": [200 + stage]}))
        cells.append(("$dff", {"CLK_POLARITY": "1"}, {"CLK": [CLOCK], "D": [200 + stage], "Q": [own]}))
    nets = list(range(first, first + stages))
    return content(
        {"ap_clk": [CLOCK], "ap_rst_n": [RESET], "in0_TVALID": [IN_VALID], "out0_TREADY": [OUT_READY]},
        {"in0_TREADY": [MOVE], "out0_TVALID": [last]}, cells, {"valid": (nets, "0" * stages), "move": [MOVE]},
    )  # fmt: skip
