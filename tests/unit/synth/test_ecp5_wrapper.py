# SPDX-License-Identifier: Apache-2.0
"""The serial port of an ECP5 board: its bytes, its clock, and the Python in the documentation."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qap2fpga.hw.beats import pack
from qap2fpga.hw.design import Stream
from qap2fpga.synth.ecp5 import wrapper
from qap2fpga.system.errors import QapError
from tests.support.ecp5 import design

ROOT = Path(__file__).parents[3]


@given(st.lists(st.binary(min_size=3, max_size=3), min_size=1, max_size=5))
def test_the_crc_is_the_remainder_of_a_division(rows: list[bytes]) -> None:
    """The definition: FF into the first eight bits, then x^8 times the message modulo x^8 + x^2 + x + 1."""
    result = wrapper.crc8(np.array([list(row) for row in rows], np.uint8))
    for row, crc in zip(rows, result, strict=True):
        rest = (int.from_bytes(row, "big") ^ (0xFF << 16)) << 8
        for bit in range(31, 7, -1):
            rest ^= (0x107 << (bit - 8)) if rest >> bit & 1 else 0
        assert rest == crc


def test_a_message_is_the_beat_from_its_lowest_byte_up() -> None:
    stream = Stream("in0", 5, 5, 4, True)
    (message,) = wrapper.messages(pack(np.array([[1, -2, 3, 4, -5]]), stream), stream.beat_bits // 8)
    assert bytes(message[:3]) == bytes([0xE1, 0x43, 0x0B]) and message[3] == wrapper.crc8(message[None, :3])[0]


def test_the_clock_is_divided_to_the_baud_rate() -> None:
    assert wrapper.divider(40.0) == 217 and wrapper.divider(20.0) == 434
    with pytest.raises(QapError, match="does not divide to 115200 baud"):
        wrapper.divider(1000.0)


def test_a_design_with_several_beats_has_no_serial_port(tmp_path: Path) -> None:
    with pytest.raises(QapError, match="in several beats"):
        wrapper.sizes(design(tmp_path, lanes=1))


def test_a_pin_that_must_be_high_is_a_port_only_where_the_board_has_it(tmp_path: Path) -> None:
    small_design = design(tmp_path)
    assert "assign hold_high = 1;" in wrapper.verilog(small_design, 40.0, hold_high=True)
    assert "hold_high" not in wrapper.verilog(small_design, 40.0, hold_high=False)


def test_the_documented_computer_asks_as_the_board_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Python in docs/ecp5.md, with a port that answers as the board in `test_from_pin_to_pin` does."""
    text = (ROOT / "docs" / "ecp5.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    source, sink = Stream("in0", 3, 3, 5, True), Stream("out0", 2, 2, 7, True)
    values, outputs = [-16, 7, 15], [-64, 63]
    question = wrapper.messages(pack(np.array([values]), source), 2)[0].tobytes()
    answer = wrapper.messages(pack(np.array([outputs]), sink), 2)[0].tobytes()
    streams = {name: asdict(one) | {"beat_bits": one.beat_bits} for name, one in (("input", source), ("output", sink))}
    example = {"integers": values, "output_integers": outputs}
    (tmp_path / "report.json").write_text(json.dumps({"interface": {**streams, "example": example}}))

    class Port:
        def __init__(self, device: str, baud: int, timeout: float) -> None:
            assert (device, baud) == ("/dev/tty", wrapper.BAUD) and timeout > wrapper.PAUSE_S

        def __enter__(self) -> Port:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def write(self, data: bytes) -> None:
            assert data == question

        def read(self, size: int) -> bytes:
            assert size == len(answer)
            return answer

    monkeypatch.setitem(sys.modules, "serial", SimpleNamespace(Serial=Port))
    monkeypatch.setattr(sys, "argv", ["ask.py", str(tmp_path), "/dev/tty"])
    exec(compile(code, "ecp5.md", "exec"), {})
    assert capsys.readouterr().out == f"{outputs} should be {outputs}\n"
