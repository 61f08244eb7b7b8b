# SPDX-License-Identifier: Apache-2.0
"""Candidates are all networks by all targets, each once, under names of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.explore import candidates
from qap2fpga.system.errors import QapError
from tests.support.explorations import LARGE, PYNQ

RTL = [candidates.Target("rtl", PYNQ, RtlOptions())]


def test_candidates_are_all_networks_by_all_targets(study: Path) -> None:
    tools = candidates.find([study])
    assert [one.name for one in tools.networks] == ["a, step 0", "a, step 1", "b, step 0"]
    on = candidates.targets([], [PYNQ, LARGE], {"target_fps": [1e6, 5e6, 1e6], "clock": [5.0, 10.0]})
    result = candidates.candidates(tools.networks, on)
    assert len(result) == len({one.name for one in result}) == len({one.key for one in result}) == 3 * 2 * (2 + 2)
    assert result[0].name == "a-step-0-finn-pynq-z2-target-fps-1e+06"
    assert {one.options.clock for one in on if one.backend == "rtl"} == {5.0, 10.0}
    assert {one.clock_ns for one in on if one.backend == "finn"} == {PYNQ.clock_ns, LARGE.clock_ns}
    (only,) = candidates.targets(["rtl"], [PYNQ], {"clock": ()})
    assert only.varied == {} and only.clock_ns == PYNQ.clock_ns


def test_the_same_network_is_explored_once_and_names_differ(study: Path, tmp_path: Path) -> None:
    first, other = tmp_path / "one" / "net.pt", tmp_path / "two" / "net.pt"
    for path, text in ((first, "1"), (other, "2")):
        path.parent.mkdir()
        path.write_text(text)
    copy = tmp_path / "copy.pt"
    copy.write_bytes((study / "runs/a/step-00.pt").read_bytes())
    (study / "runs/b/step-00.pt").unlink()
    tools = candidates.find([study, copy, first, other])
    assert [one.name for one in tools.networks] == ["a, step 0", "a, step 1", "net", "net"]
    assert len(tools.left_out) == 1 and "b, step 0" in tools.left_out[0]
    names = [one.name for one in candidates.candidates(tools.networks[2:], RTL)]
    assert len(set(names)) == 2 and all(name.startswith("net-") for name in names)


def test_options_belong_to_some_backend() -> None:
    with pytest.raises(QapError, match="rtl backend has no option --target-fps"):
        candidates.targets(["rtl"], [PYNQ], {"target_fps": [1e6], "clock": ()})
    with pytest.raises(QapError, match="0 ns"):
        candidates.targets(["rtl"], [PYNQ], {"clock": [0.0]})
    with pytest.raises(QapError, match="hls4ml backend's code is not predicted"):
        candidates.targets(["rtl", "hls4ml"], [PYNQ], {})
    with pytest.raises(QapError, match="unknown backend 'rlt'"):
        candidates.targets(["rlt"], [PYNQ], {})
