# SPDX-License-Identifier: Apache-2.0
"""What the cells of the families' netlists compute, as the parts of `cells`: AMD's 7 series on, Lattice's ECP5.

These are models that proofs trust, from AMD's UG953 and UG974, and from Lattice's technical notes as Yosys' and
nextpnr's libraries have them. A cell, or a mode of one, that is not here is not proven.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from qap2fpga.prove.cells import NotProven, Parameters, Part, Ports, Register, flag, inner_net, number, single


def _lut(size: int) -> Callable[[str, Parameters, Ports], Iterator[Part]]:
    def of(name: str, parameters: Parameters, ports: Ports) -> Iterator[Part]:
        index = tuple(bit for place in range(size) for bit in single(name, ports, f"I{place}"))
        yield Part(name, "table", (index,), single(name, ports, "O"), _table(name, parameters, "INIT", 1 << size))

    return of


def _lut6_2(name: str, parameters: Parameters, ports: Ports) -> Iterator[Part]:
    """LUT6_2: a table of six inputs, and the lower half of it, of five of them."""
    entries = _table(name, parameters, "INIT", 64)
    index = tuple(bit for place in range(6) for bit in single(name, ports, f"I{place}"))
    for pin, inputs in (("O6", 6), ("O5", 5)):
        if ports.get(pin):
            yield Part(name, "table", (index[:inputs],), single(name, ports, pin), entries & (1 << (1 << inputs)) - 1)


def _carry4(name: str, parameters: Parameters, ports: Ports) -> Iterator[Part]:
    """CARRY4: each bit is `S ^ carry`, and the carry goes on where S, else DI does."""
    start = single(name, ports, "CI"), single(name, ports, "CYINIT")
    if (0,) not in start:
        raise NotProven(f"{name}: CARRY4 with CI and CYINIT")
    carry = start[start[0] == (0,)]
    sums, carries = (ports.get(port, ()) + (0,) * 4 for port in ("O", "CO"))
    for place in range(4):
        select, data = (ports[port][place : place + 1] for port in ("S", "DI"))
        if sums[place] > 1:
            yield Part(name, "xor", (select, carry), (sums[place],))
        # A carry that is not connected has a net of its own.
        following = (carries[place] if carries[place] > 1 else inner_net(max(*sums, *carries), 1 + place),)
        yield Part(name, "choose", (select, data, carry), following)
        carry = following


def _wide_mux(name: str, parameters: Parameters, ports: Ports) -> Iterator[Part]:
    yield Part(name, "choose", (ports["S"], ports["I0"], ports["I1"]), ports["O"])


def _same(kind: str) -> Callable[[str, Parameters, Ports], Iterator[Part]]:
    def of(name: str, parameters: Parameters, ports: Ports) -> Iterator[Part]:
        yield Part(name, kind, (single(name, ports, "I"),), single(name, ports, "O"))

    return of


def _lut4(name: str, parameters: Parameters, ports: Ports) -> Iterator[Part]:
    index = tuple(bit for port in "ABCD" for bit in single(name, ports, port))
    yield Part(name, "table", (index,), single(name, ports, "Z"), _table(name, parameters, "INIT"))


def _table(name: str, parameters: Parameters, key: str, size: int = 16) -> int:
    """Return the table of a LUT, of `size` entries."""
    initial = parameters.get(key, "")
    if len(initial) != size or not set(initial) <= {"0", "1"}:
        raise NotProven(f"{name}: the table {initial!r} of {key}")
    return int(initial, 2)


def _mux(name: str, parameters: Parameters, ports: Ports, pins: tuple[str, str, str]) -> Iterator[Part]:
    select, otherwise, then = (single(name, ports, pin) for pin in pins)
    yield Part(name, "choose", (select, otherwise, then), single(name, ports, "Z"))


def _ccu2c(name: str, parameters: Parameters, ports: Ports) -> Iterator[Part]:
    """CCU2C: two LUTs with a carry, which goes on where the LUT's function is 1, else is that of A and B alone.

    A half that injects takes no carry into its sum, and makes none of A and B.
    """
    outs = [ports.get(port, ()) for port in ("S0", "S1", "COUT")]
    own = max(bit for out in outs for bit in out)
    carry = single(name, ports, "CIN")
    for half in (0, 1):
        injects = {"YES": True, "NO": False}.get(parameters.get(f"INJECT1_{half}", "YES").strip())
        if injects is None:
            raise NotProven(f"{name}: INJECT1_{half} of a CCU2C is neither YES nor NO")
        index = tuple(bit for port in "ABCD" for bit in single(name, ports, f"{port}{half}"))
        table = _table(name, parameters, f"INIT{half}")
        whole, pair = ((inner_net(own, 3 * half + number),) for number in range(2))
        yield Part(name, "table", (index,), whole, table)
        yield Part(name, "table", (index[:2],), pair, table & 15)
        if outs[half]:
            yield Part(name, "xor", (whole, (0,) if injects else carry), outs[half])
        following = outs[2] if half and outs[2] else (inner_net(own, 3 * half + 2),)
        yield Part(name, "choose", (whole, (0,) if injects else pair, carry), following)
        carry = following


def _trellis_ff(name: str, parameters: Parameters, ports: Ports) -> Register:
    """TRELLIS_FF, its reset before its enable; GSR, which no design of ours drives, is trusted to stand still."""
    modes = {key: parameters.get(key, usual).strip() for key, usual in TRELLIS_MODES.items()}
    enable = {"1": 1, "0": 0}.get(modes["CEMUX"])
    if enable is None:
        (enable,) = single(name, ports, "CE")
    (reset,) = single(name, ports, "LSR")
    plain = modes["CEMUX"] in ("1", "0", "CE") and modes["CLKMUX"] == "CLK" and modes["LSRMUX"] == "LSR"
    first = modes["SRMODE"] == "LSR_OVER_CE" or reset == 0 or (modes["SRMODE"] == "CE_OVER_LSR" and enable == 1)
    if not plain or not first or modes["LSRMODE"] != "LSR" or modes["REGSET"] not in ("SET", "RESET"):
        raise NotProven(f"{name}: a TRELLIS_FF with {', '.join(f'{key} {value}' for key, value in modes.items())}")
    clock, data, out = (single(name, ports, port)[0] for port in ("CLK", "DI", "Q"))
    value = int(modes["REGSET"] == "SET")
    return Register(name, clock, enable, reset, value, data, out, initial=str(value))


# What a mode is where a netlist leaves it out.
TRELLIS_MODES = {
    "CEMUX": "1", "CLKMUX": "CLK", "LSRMUX": "LSR", "SRMODE": "LSR_OVER_CE", "REGSET": "RESET", "LSRMODE": "LSR",
}  # fmt: skip


# Bits of the longest shift register.
LAST = 32
PRIMITIVES: Mapping[str, Callable[[str, Parameters, Ports], Iterator[Part]]] = {
    **{f"LUT{size}": _lut(size) for size in range(1, 7)},
    "LUT6_2": _lut6_2, "CARRY4": _carry4, "MUXF7": _wide_mux, "MUXF8": _wide_mux,
    "INV": _same("not"), "BUF": _same("same"),
    "CCU2C": _ccu2c, "PFUMX": partial(_mux, pins=("C0", "BLUT", "ALUT")),
    "L6MUX21": partial(_mux, pins=("SD", "D0", "D1")),
}  # fmt: skip


def primitive(name: str, kind: str, parameters: Parameters, ports: Ports) -> Iterator[Part] | None:
    """Return the parts that a cell of a netlist is made of; None if it is no such cell."""
    if kind == "LUT4" and "Z" in ports:  # ECP5's; AMD's has other pins
        return _lut4(name, parameters, ports)
    function = PRIMITIVES.get(kind)
    return function(name, parameters, ports) if function else None


def registers(name: str, kind: str, parameters: Parameters, ports: Ports) -> list[Register]:
    """Return the registers that a cell is; none if it is another one."""
    if kind == "TRELLIS_FF":
        return [_trellis_ff(name, parameters, ports)]
    if kind in ("FDRE", "FDSE"):
        if any(flag(parameters, f"IS_{port}_INVERTED") for port in "CDRS"):
            raise NotProven(f"{name}: inverted pins of {kind}")
        reset = "R" if kind == "FDRE" else "S"
        bits = [single(name, ports, port)[0] for port in ("C", "CE", reset, "D", "Q")]
        start = parameters.get("INIT", "x")
        return [Register(name, bits[0], bits[1], bits[2], int(kind == "FDSE"), bits[3], bits[4], initial=start)]
    if kind in ("SRL16E", "SRLC32E"):
        return _shift_registers(name, kind, parameters, ports)
    return []


def _shift_registers(name: str, kind: str, parameters: Parameters, ports: Ports) -> list[Register]:
    """A shift register whose length is a constant; where its last bit is read too, as another one of the same bits."""
    address = ports["A"] if kind == "SRLC32E" else tuple(single(name, ports, f"A{place}")[0] for place in range(4))
    if not set(address) <= {0, 1} or flag(parameters, "IS_CLK_INVERTED"):
        raise NotProven(f"{name}: a {kind} whose length changes, or with an inverted clock")
    clock, enable, data = (single(name, ports, port)[0] for port in ("CLK", "CE", "D"))
    lengths = ((port, delay) for port, delay in (("Q", number(address) + 1), ("Q31", LAST)) if ports.get(port, ()))
    begins = parameters.get("INIT", "").rjust(LAST, "x")[::-1]
    return [Register(name, clock, enable, 0, 0, data, single(name, ports, port)[0], delay, begins[:delay])
            for port, delay in lengths if ports[port] != (-1,)]  # fmt: skip
