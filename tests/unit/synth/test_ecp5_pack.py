# SPDX-License-Identifier: Apache-2.0
"""Every way that ecppack ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from qap2fpga.synth.ecp5 import pack as packing
from qap2fpga.system.errors import QapError
from tests.conftest import Make


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("echo 'Error: no database'; exit 1", "no database"),
        ("true", "left no bitstream"),
        ("touch board.part", "left no"),
    ],
)
def test_how_ecppack_fails(tmp_path: Path, native: Make, text: str, what: str) -> None:
    native("ecppack", text)
    (tmp_path / "board.bit").write_text("of before")
    with pytest.raises(QapError, match=what):
        packing.pack(tmp_path / "board.config", tmp_path / "board.bit")
