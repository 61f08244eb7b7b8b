# SPDX-License-Identifier: Apache-2.0
"""Boards: every shipped one is read, a user's own is one file, and a mistake in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from qap2fpga.hw import boards
from qap2fpga.hw import boards as board
from qap2fpga.synth.ecp5.place import device
from qap2fpga.system.errors import QapError

PROMISED = {"pynq-z1", "pynq-z2", "ultra96-v2", "zcu104", "kv260", "zcu102", "alveo-u250", "vcu118", "vu13p",
            "ulx3s-85f", "colorlight-i5"}  # fmt: skip
GOOD = {
    "title": "My board [rev 2]",
    "part": "xc7a35tcpg236-1",
    "family": "xc7",
    "clock_ns": 8,
    "lut": 20800,
    "ff": 41600,
    "dsp": 90,
    "bram18": 100,
    "source": "DS180",
}


def write(path: Path, **changes: object) -> Path:
    content = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_promised_boards_are_shipped() -> None:
    assert set(board.names()) >= PROMISED
    assert board.names() == sorted(board.names())


@pytest.mark.parametrize("name", board.names())
def test_shipped_boards_are_sound(name: str) -> None:
    one = board.load(name)
    assert one.name == name
    if one.family == "ecp5":
        assert device(one.part) and one.clock_ns == 40 and one.ff == one.lut and one.dsp_cell == "MULT18X18D"
        assert all(f'LOCATE COMP "{port}"' in one.pins for port in board.PINS)
        assert "github.com" in one.pins
        return
    assert one.pins == ""
    assert one.dsp_cell == ("DSP48E1" if one.family == "xc7" else "DSP48E2")
    assert one.part.startswith(("xc7", "xcz", "xck", "xcv", "xcu"))
    assert one.part.startswith("xc7") == (one.family == "xc7")
    assert one.ff == 2 * one.lut
    assert 1 <= one.clock_ns <= 20
    assert "DS" in one.source


def test_numbers_of_a_known_board() -> None:
    """AMD DS190: the Z-7020."""
    one = board.load("pynq-z2")
    assert (one.part, one.lut, one.ff, one.dsp, one.bram18) == ("xc7z020clg400-1", 53200, 106400, 220, 280)
    assert one.clock_ns == 10.0


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_a_users_board_is_one_file(tmp_path: Path, suffix: str) -> None:
    one = board.load(str(write(tmp_path / f"mine{suffix}")))
    assert (one.name, one.title, one.clock_ns, one.lut) == ("mine", "My board [rev 2]", 8.0, 20800)
    assert isinstance(one.clock_ns, float)


@pytest.mark.parametrize(
    ("name", "hint"), [("pynq-z3", "pynq-z"), ("zcu105", "zcu10"), ("vcu-118", "vcu118"), ("ZCU104", "zcu104")]
)
def test_an_unknown_board_gets_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(QapError, match=f"unknown board '{name}'") as caught:
        board.load(name)
    assert caught.value.hint.startswith(f"did you mean '{hint}")
    assert all(known in caught.value.hint for known in PROMISED)


@pytest.mark.parametrize(
    ("changes", "what", "hint"),
    [
        ({"luts": 3}, "unknown key 'luts'", "did you mean 'lut'?"),
        ({"name": "x"}, "unknown key 'name'", "known: board_part"),
        ({"bram18": None, "dsp": None}, "missing dsp, bram18", "add-a-board"),
        ({"lut": "many"}, "lut = 'many'", "a whole number above 0"),
        ({"lut": 10.5}, "lut = 10.5", "a whole number above 0"),
        ({"lut": True}, "lut = True", "a whole number above 0"),
        ({"dsp": -1}, "dsp = -1", "a whole number above 0"),
        ({"clock_ns": 0}, "clock_ns = 0", "a number above 0"),
        ({"clock_ns": float("nan")}, "clock_ns = nan", "a number above 0"),
        ({"clock_ns": float("inf")}, "clock_ns = inf", "a number above 0"),
        ({"part": 7}, "part = 7", "a text"),
        ({"title": ["x"]}, "title = ['x']", "a text"),
        ({"family": "xc8"}, "unknown family 'xc8'", "known: ecp5, xc7, xcu, xcup"),
        ({"family": ["xc7"]}, "family = ['xc7']", "a text"),
    ],
)
def test_a_mistake_in_a_board_is_named(tmp_path: Path, changes: dict[str, object], what: str, hint: str) -> None:
    path = write(tmp_path / "mine.yaml", **changes)
    with pytest.raises(QapError) as caught:
        board.load(str(path))
    assert caught.value.message == f"{path}: {what}"
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("a: [1,", "is no sound YAML: line 1"),
        ("lut: !!python/object/apply:os.system ['true']", "is no sound YAML"),
        ("- just\n- a list\n", "not keys and values"),
        ("", "not keys and values"),
        ("3: 4", "the key 3 is a number, not a text"),
    ],
)
def test_a_file_that_is_no_board_is_refused(tmp_path: Path, content: str, what: str) -> None:
    (tmp_path / "mine.yaml").write_text(content)
    with pytest.raises(QapError, match=what):
        board.load(str(tmp_path / "mine.yaml"))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    (tmp_path / "folder.yaml").mkdir()
    for name, what in (("binary", "is no UTF-8 text"), ("folder", "is a folder"), ("absent", "does not exist")):
        with pytest.raises(QapError, match=what):
            board.load(str(tmp_path / f"{name}.yaml"))


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        (None, "an ecp5 board needs its pins"),
        (["clk", "uart_rx"], "no LOCATE of uart_tx"),
        (["clk", "uart_rx", "uart_tx", "led"], "unknown port led"),
    ],
)
def test_pins_of_a_users_board_are_checked(tmp_path: Path, lines: list[str] | None, what: str) -> None:
    folder = Path(boards.shipped("boards"))
    (tmp_path / "mine.yaml").write_text((folder / "ulx3s-85f.yaml").read_text())
    if lines is not None:
        (tmp_path / "mine.lpf").write_text("".join(f'LOCATE COMP "{port}" SITE "A1";\n' for port in lines))
    with pytest.raises(QapError, match=what):
        boards.load(str(tmp_path / "mine.yaml"))
