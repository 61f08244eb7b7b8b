# SPDX-License-Identifier: Apache-2.0
"""Nothing is lost, doubled or reordered: the handshake of a pipeline, by induction over its state.

One bit per stage says whether a vector is there. What is proven is what each of these bits becomes in every state and
under every input: 0 at a reset; at a move the bit before, or the input's TVALID; else what it was. A move is when the
last stage is empty or its vector is taken, which is also TREADY, and the last bit is TVALID. So a vector that was taken
goes one stage further at each move with the data beside it, until it leaves, and stands still until it is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from qap2fpga.prove.algebra import Sliced, packed
from qap2fpga.prove.cells import NotProven, Part, Register
from qap2fpga.prove.reading import Module

SLICED = Sliced()
Function = Callable[[Mapping[str, np.ndarray]], np.ndarray]
# Control that depends on more bits than this is none that is known here.
MOST = 12


@dataclass(frozen=True)
class Ports:
    """The bits of a top module that are no data."""

    clock: int
    reset: int
    in_valid: int
    in_ready: int
    out_valid: int
    out_ready: int


def ports(module: Module, source: str, sink: str) -> Ports:
    """Return the control bits of a module with the streams `source` and `sink`."""
    names = ("ap_clk", "ap_rst_n", f"{source}_TVALID", f"{source}_TREADY", f"{sink}_TVALID", f"{sink}_TREADY")
    every = {**module.inputs, **module.outputs}
    missing = [name for name in names if len(every.get(name, ())) != 1]
    if missing:
        raise NotProven(f"{module.name}: no port {', '.join(missing)} of one bit")
    return Ports(*(every[name][0] for name in names))


def prove(module: Module, of: Ports, moves: Iterable[int]) -> int:
    """Return how many stages deep the chain of valid bits is; `moves` are the nets that enable data.

    Raises `NotProven` where the control is another.
    """
    control = Control(module)
    last = control.copy_of(of.out_valid)
    stands = {"last": last, "ready": of.out_ready}
    for net in (of.in_ready, *moves):
        control.check(net, stands, lambda bits: ~bits["last"] | bits["ready"], "a move")
    chain: list[int] = []
    bit = last
    while True:
        register = module.drivers.get(bit)
        if not isinstance(register, Register) or register.clock != of.clock or register.delay != 1:
            raise NotProven(f"{module.name}: valid bit {len(chain)} from the end is no register of the clock")
        if register.initial != "0":
            raise NotProven(f"{module.name}: valid bit {len(chain)} from the end does not begin as 0")
        chain.append(bit)
        nexts = (register.reset, register.enable, register.data)
        others = control.support(nexts) - {of.reset, of.out_ready, last, bit}
        if len(others) != 1:
            raise NotProven(f"{module.name}: valid bit {len(chain)} from the end follows {len(others)} bits, not one")
        (before,) = others
        control.check_next(register, {"reset": of.reset, "own": bit, "before": before, **stands})
        if before == of.in_valid:
            return len(chain)
        if before in chain:
            raise NotProven(f"{module.name}: valid bits go in a circle")
        bit = before


class Control:
    """The logic of a module between registers and inputs."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def support(self, bits: Iterable[int]) -> set[int]:
        """Return the registers and inputs on which `bits` depend."""
        return self._logic(bits)[0]

    def copy_of(self, bit: int) -> int:
        """Return the register that `bit` is a copy of."""
        leaves = self.support([bit])
        if len(leaves) != 1:
            raise NotProven(f"{self.module.name}: an output of the handshake is not one register")
        (leaf,) = leaves
        self.check(bit, {"leaf": leaf}, lambda values: values["leaf"], "TVALID")
        return leaf

    def check(self, bit: int, leaves: Mapping[str, int], expected: Function, what: str) -> None:
        """Raise `NotProven` unless `bit` is the `expected` function of `leaves`."""
        values, actual = self._run([bit], leaves)
        if (actual[0] != expected(values)).any():
            raise NotProven(f"{self.module.name}: {what} is another function of the state")

    def check_next(self, register: Register, leaves: Mapping[str, int]) -> None:
        """Raise `NotProven` unless the register becomes what a valid bit does."""
        values, (reset, enable, data) = self._run((register.reset, register.enable, register.data), leaves)
        value = SLICED.one if register.value else SLICED.zero
        actual = SLICED.choose(reset, SLICED.choose(enable, values["own"], data), value)
        move = ~values["last"] | values["ready"]
        expected = SLICED.choose(values["reset"], SLICED.zero, SLICED.choose(move, values["own"], values["before"]))
        if (actual != expected).any():
            raise NotProven(f"{self.module.name}: a valid bit becomes something else")

    def _run(self, bits: Iterable[int], leaves: Mapping[str, int]) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
        """Return every combination of `leaves`, and what `bits` are then."""
        bits = list(bits)
        support, parts = self._logic(bits)
        nets = sorted(set(leaves.values()))
        if not support <= set(nets) or len(nets) > MOST:
            raise NotProven(f"{self.module.name}: control depends on other bits than those of the handshake")
        # At least a machine word of cases, so that no padding is compared.
        cases = np.arange(1 << max(len(nets), 6)) & (1 << len(nets)) - 1
        values = {0: SLICED.zero, 1: SLICED.one, **dict(zip(nets, packed(cases, len(nets)), strict=True))}
        for part in parts:
            operands = [[values[bit] for bit in operand] for operand in part.operands]
            values.update(zip(part.driven, part.evaluate(SLICED, operands), strict=True))
        return {name: values[net] for name, net in leaves.items()}, [values[bit] for bit in bits]

    def _logic(self, bits: Iterable[int]) -> tuple[set[int], list[Part]]:
        """Return the leaves below `bits`, and the logic between, in order."""
        leaves: set[int] = set()
        order: dict[int, Part] = {}
        open_parts: set[int] = set()
        waiting = [(bit, False) for bit in bits]
        while waiting:
            bit, ready = waiting.pop()
            driver = self.module.drivers.get(bit)
            if bit in (0, 1) or (isinstance(driver, Part) and id(driver) in order):
                continue
            if not isinstance(driver, Part):
                leaves.add(bit)
            elif ready:
                order[id(driver)] = driver
            elif id(driver) in open_parts:
                raise NotProven(f"{self.module.name}: a loop of control at {driver.name}")
            else:
                open_parts.add(id(driver))
                waiting.append((bit, True))
                waiting += [(one, False) for operand in driver.operands for one in operand]
        return leaves, list(order.values())
