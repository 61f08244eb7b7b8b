# SPDX-License-Identifier: Apache-2.0
"""A design simulated from pin to pin: its protocol's faults are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qap2fpga.synth.ecp5 import wrapper
from qap2fpga.system.errors import QapError
from qap2fpga.verify import pins
from tests.support.ecp5 import ULX3S, design


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "pattern", "instead"),
    [
        ("none", "", ""),
        ("bytes in another order", "in_data <= {got, in_data} >> 8;", "in_data <= {in_data, got};"),
        ("a damaged request is answered", "if (got == crc) state", "state"),
        ("a cut request is kept", "else if (silence == PAUSE)", "else if (0)"),
        ("a bit too short", "wait_cycles <= DIVIDER - 1;", "wait_cycles <= DIVIDER - DIVIDER / 10;"),
    ],
)
def test_from_pin_to_pin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, pattern: str, instead: str
) -> None:
    changed = []
    for source in wrapper.sources():
        text = source.read_text()
        changed.append(tmp_path / source.name)
        changed[-1].write_text(text.replace(pattern, instead) if pattern else text)
    assert fault == "none" or any(instead in one.read_text() for one in changed)
    monkeypatch.setattr(wrapper, "sources", lambda: changed)
    monkeypatch.setattr(wrapper, "PAUSE_S", 0.001)
    vectors = np.random.default_rng(1).integers(0, 256, (9, 2))
    expected = vectors @ [[1], [2]]

    def simulated() -> Any:
        return pins.Pins(design(tmp_path / "adder"), ULX3S, tmp_path / "pins").simulate(vectors, expected)[0]

    if fault != "none":
        with pytest.raises(QapError) as caught:
            simulated()
        assert caught.value.exit_code == 1
        return
    result = simulated()
    assert (result.vectors, result.mismatches, result.latency_cycles) == (9, 0, None)
    assert result.compared == "ulx3s-85f from pin to pin with the integer network, UART"
