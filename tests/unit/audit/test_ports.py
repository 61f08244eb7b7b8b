# SPDX-License-Identifier: Apache-2.0
"""What may be said of the ports of somebody else's hardware, and what is refused before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qap2fpga.audit import ports
from qap2fpga.audit.ports import Lanes, Port
from qap2fpga.ir.tensors import Range
from qap2fpga.system.errors import QapError
from tests.support import foreign

IN: dict[str, Any] = {"port": "a", "bits": 3}
OUT: dict[str, Any] = {"port": "b", "bits": [4, 5], "signed": True, "exponent": [0, -1]}


def load(folder: Path, **changes: Any) -> ports.Ports:
    foreign.describe(folder, **{"input": IN, "output": OUT, **changes})
    return ports.load(folder / ports.FILE)


def test_what_is_said_is_read(tmp_path: Path) -> None:
    told = load(tmp_path)
    assert (told.top, told.latency, told.clock, told.input.port) == ("top", 0, "", "a")
    assert ports.lanes(told.output, 2, "output") == Lanes((4, 5), (True, True), (0, -1))
    assert ports.lanes(told.input, 4, "input") == Lanes((3,) * 4, (False,) * 4, (0,) * 4)
    assert ports.lanes(Port("a", 3, lanes=2), 4, "input").total == 6


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"top": "a b"}, "top = 'a b'"),
        ({"input": {**IN, "port": "x); $finish; (x"}}, "input.port"),
        ({"clock": "clk\n"}, "clock"),
        ({"latency": None}, "input has no whole handshake"),
        ({"latency": None, "input": {**IN, "valid": "v", "ready": "r"}}, "output has no whole handshake"),
        ({"output": {**OUT, "valid": "v"}}, "output has no whole handshake, or a latency beside it"),
        ({"latency": 3}, "no clock"),
        ({"reset": "r"}, "no clock"),
        ({"reset_active": "up"}, "reset_active"),
        ({"latency": -1}, "latency"),
        ({"input": {**IN, "lanes": 2}}, "lanes, beside a latency"),
        ({"input": {**IN, "exponent": 1}}, "input.exponent"),
        ({"input": {**IN, "bits": "3"}}, "input.bits"),
        ({"inputs": IN}, "unknown key 'inputs'"),
        ({"output": {"port": "b"}}, "output.bits"),
        ({"output": {**OUT, "port": "a"}}, "two ports have one name"),
        ({"clock": "a"}, "two ports have one name"),
        ({"clock": "clk", "latency": 10_001}, "latency"),
        ({"interval": 0}, "interval"),
    ],
)
def test_what_contradicts_itself_is_refused_by_name(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(QapError) as caught:
        load(tmp_path, **changes)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "port, elements, said",
    [
        (Port("a", 3, lanes=3), 4, "no number of beats of 3"),
        (Port("a", (3, 3)), 3, "out.bits has 2 values, a beat has 3"),
        (Port("a", 3, (True, False)), 3, "out.signed has 2 values"),
        (Port("a", 3, exponent=(1, 2)), 3, "out.exponent has 2 values"),
        (Port("a", (0, 0)), 2, "values of no bits"),
        (Port("a", 63), 2, "of more than 62"),
        (Port("a", 40, exponent=(0, 30)), 2, "of more than 62"),
        (Port("a", 5, exponent=-64), 2, "out.exponent is beyond 31"),
        (Port("a", 5, exponent=(0, 32)), 2, "out.exponent is beyond 31"),
    ],
)
def test_values_that_do_not_fit_their_port(port: Port, elements: int, said: str) -> None:
    with pytest.raises(QapError) as caught:
        ports.lanes(port, elements, "out")
    assert said in str(caught.value)


def test_inputs_that_the_bits_do_not_hold_are_refused() -> None:
    values = Range(np.array([-4, 0]), np.array([3, 7]))
    ports.require_fit(Lanes((3, 4), (True, True), (0, 0)), values, 1)
    ports.require_fit(Lanes((3, 3), (True, False), (0, 0)), values, 2)
    for bits, signed, said in (
        ((3, 3), (True, True), "value 1 is signed of 3 bits, the network's integers are 0 to 7"),
        ((3, 3), (False, False), "value 0 is unsigned of 3 bits, the network's integers are -4 to 3"),
        ((2, 3), (True, False), "value 0 is signed of 2 bits"),
        # One lane carries both, one after the other.
        ((3,), (True,), "value 0 is signed of 3 bits, the network's integers are 0 to 7"),
    ):
        with pytest.raises(QapError) as caught:
            ports.require_fit(Lanes(bits, signed, (0,) * len(bits)), values, 1)
        assert said in str(caught.value)


def test_inputs_that_are_not_taken_come_in_all_the_same() -> None:
    values = Range(np.array([-4, 0, -9]), np.array([3, 7, 5]))
    taken = Lanes((3, 0, 0), (True, False, False), (0, 0, 0))
    ports.require_fit(taken, values, 1)
    given = ports.given(taken, values, 1)
    assert given.bits[0] == 3 and given.bits[1] >= 3 and given.bits[2] >= 5 and given.signed == (True, False, True)


def test_sources_lie_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("b.v", "a.sv", "below/c.v", "notes.txt"):
        (tmp_path / name).write_text("")
    told = load(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in ports.sources(told, tmp_path)] == [
        "a.sv", "b.v", "below/c.v",
    ]  # fmt: skip
    assert ports.sources(load(tmp_path, sources=["b.v"]), tmp_path) == [tmp_path / "b.v"]
    for name in ("../x.v", "/etc/x.v", "none.v", "notes.txt", "-o.v", "below/../../x.v"):
        with pytest.raises(QapError, match="no file"):
            ports.sources(load(tmp_path, sources=[name]), tmp_path)
    (tmp_path / "below" / "d.v").symlink_to("/etc/hostname")
    with pytest.raises(QapError, match="leads out of it"):
        ports.sources(told, tmp_path)
    (tmp_path / "below" / "d.v").unlink()
    for words in ('`include "/etc/passwd"', 'initial $readmemh("/x", m);', 'initial f = $fopen("x");'):
        (tmp_path / "b.v").write_text(f"module m; {words}\nendmodule")
        with pytest.raises(QapError, match="which reads another file"):
            ports.sources(told, tmp_path)
    (tmp_path / "b.v").write_bytes("// `include, na\xefve /* $readmemh */".encode("latin-1"))
    assert len(ports.sources(told, tmp_path)) == 3
    with pytest.raises(QapError, match=r"no Verilog in it"):
        ports.sources(told, tmp_path / "below" / "none" if (tmp_path / "below" / "none").mkdir() is None else tmp_path)
