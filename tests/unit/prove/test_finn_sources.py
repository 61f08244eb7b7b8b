# SPDX-License-Identifier: Apache-2.0
"""Which files Verilog reads: the names are followed, and what cannot be followed is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from qap2fpga.prove.finn.sources import memory_files
from qap2fpga.system.errors import QapError

ROM = """`ifdef X // `include "no"
`endif
module rom #(parameter FILE = "") (); reg m[0:0]; initial $readmemh(FILE, m); endmodule
module tree #(parameter PATH = "") ();
  initial $readmemh($sformatf("%st_%0d_%0d.dat", PATH, 1, 2), m);
endmodule
"""
TOP = """module top; /* .FILE("/etc/passwd") */
  rom #(.FILE("./a.dat")) x (); tree #(.PATH("./T_")) y (); tree #(.PATH(PATH)) z ();
endmodule
"""
FILES = ("a.dat", "T_t_0_0.dat", "T_t_10_2.dat", "other.dat")


def sources(folder: Path, top: str = TOP, rom: str = ROM) -> list[Path]:
    for name in FILES:
        (folder / name).write_text("0\n")
    (folder / "rom.sv").write_text(rom)
    (folder / "top.v").write_text(top)
    return [folder / "rom.sv", folder / "top.v"]


def test_names_and_formats_are_followed(tmp_path: Path) -> None:
    assert set(memory_files(sources(tmp_path), FILES)) == {*FILES} - {"other.dat"}


@pytest.mark.parametrize(("old", "new", "message"), [
    ("./a.dat", "../a.dat", "FILE \"../a.dat\", by which other files"),
    ("./a.dat", "/etc/passwd", "by which other files"),
    ('"./a.dat"', '{"a", ".dat"}', "by which other files"),
    ('"./a.dat"', "OTHER", "by which other files"),
    ("./a.dat", "b.dat", "b.dat: a source reads it as a memory, and it is not there or not listed"),
    ("./T_", "./S_", "memories called S_..., and none is listed"),
    ("endmodule", '`include "x.v"\nendmodule', "`include, by which"),
    ("endmodule", "`define A b\nendmodule", "`define, by which"),
    ("endmodule", 'initial $readmemb("a.dat", m); endmodule', r"\$readmemb, by which"),
    ("endmodule", 'initial $readmemh("a.dat", m); endmodule', r"\$readmemh, by which"),
    ("endmodule", 'initial $readmemh($sformatf("/%s", FILE), m); endmodule', r"\$readmemh, by which"),
    ("endmodule", 'initial f = $fopen("a.dat"); endmodule', r"\$fopen, by which"),
])  # fmt: skip
def test_what_may_be_another_file_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(QapError, match=message):
        memory_files(sources(tmp_path, TOP.replace(old, new, 1)), FILES)


def test_a_file_that_is_not_there_or_not_listed_is_refused(tmp_path: Path) -> None:
    every = sources(tmp_path)
    with pytest.raises(QapError, match=r"a\.dat: a source reads it"):
        memory_files(every, FILES[1:])
    (tmp_path / "T_t_0_0.dat").unlink()
    with pytest.raises(QapError, match=r"T_t_0_0\.dat: a source reads it"):
        memory_files(every, FILES)
