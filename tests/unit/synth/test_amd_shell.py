# SPDX-License-Identifier: Apache-2.0
"""FINN's own builder: what it is given is what its own package takes, and how its run ends is told."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from qap2fpga.hw import boards
from qap2fpga.hw.design import Design, Stage
from qap2fpga.synth import amd as vendor
from qap2fpga.synth.amd import shell, system
from qap2fpga.system.errors import CheckFailed, QapError
from tests.conftest import ROOT
from tests.support.vendor import FAKES, TOOLS, behaving, rtl_design
from tests.unit.synth.test_amd_resume import ran

PYNQ = boards.load("pynq-z2")
FOLDING = {"MVAU_rtl_0": {"SIMD": 2, "PE": 4}, "Thresholding_rtl_0": {"PE": 4}}
# Prints what FINN's own configuration made of the file: without Vivado only this part of the builder can be imported.
READ = """
import json, sys
from pathlib import Path
from finn.builder.build_dataflow_config import DataflowBuildConfig
from finn.util.basic import pynq_part_map
made = DataflowBuildConfig.construct_from(Path(sys.argv[1]))
json.dump({
    "part": made._resolve_fpga_part(), "platform": made._resolve_driver_platform(), "clock": made.synth_clk_period_ns,
    "outputs": [one.value for one in made.generate_outputs], "folding": str(made.folding_config_file),
    "steps": made.steps, "known": pynq_part_map, "no_dma": made.instrumentation_no_dma,
}, sys.stdout)
"""


def finn_design(folder: Path) -> Design:
    design = rtl_design(folder / "finn" / "rtl")
    (folder / "finn" / shell.GRAPH).write_bytes(b"a folded graph")
    return replace(design, folding=FOLDING)


def shell_plan(folder: Path, board: boards.Board = PYNQ, tools: vendor.Tools = TOOLS) -> vendor.Plan:
    return vendor.plan(finn_design(folder), board, folder / "work", tools, steps=["finn"])


def test_a_design_without_finns_graph_is_refused(tmp_path: Path) -> None:
    design = rtl_design(tmp_path / "finn" / "rtl")
    with pytest.raises(QapError, match="takes chains of dense layers, none of which is multiplied without its zeros"):
        vendor.plan(design, PYNQ, tmp_path / "work", TOOLS, steps=["finn"])


def test_the_plan_shows_the_builder(tmp_path: Path) -> None:
    plan = shell_plan(tmp_path, tools=vendor.Tools())
    assert plan.text.splitlines()[1:] == [f"{sys.executable} finn_build.py  # finn, at most 86400 s"]
    assert plan.missing == (vendor.absent(vendor.Kind.VIVADO),)
    assert (plan.folder / "finn_model.onnx").read_bytes() == b"a folded graph"
    assert json.loads((plan.folder / "finn_folding.json").read_text()) == {"Defaults": {}, **FOLDING}


@pytest.mark.parametrize("name", ["pynq-z2", "kv260"])
def test_finns_own_package_takes_the_configuration(tmp_path: Path, name: str) -> None:
    board = boards.load(name)
    plan = shell_plan(tmp_path, board)
    done = subprocess.run(
        [sys.executable, "-c", READ, plan.folder / "finn_build.yaml"], capture_output=True, text=True, check=True
    )
    content = json.loads(done.stdout)
    assert (content["part"], content["platform"], content["clock"]) == (board.part, "zynq-iodma", board.clock_ns)
    assert content["outputs"] == list(shell.OUTPUTS) and content["steps"] == list(shell.STEPS)
    assert content["folding"] == str(plan.folder / "finn_folding.json") and content["no_dma"] is False
    assert {one: content["known"][finns] for one, finns in shell.BOARDS.items()} == {
        one: boards.load(one).part for one in shell.BOARDS
    }


def test_finns_own_package_has_the_steps_and_the_options() -> None:
    """The steps cannot be imported without Vivado; their names stand in the source."""
    place = Path(find_spec("finn").submodule_search_locations[0])
    text = (place / "builder" / "build_dataflow_steps.py").read_text()
    known = set(re.findall(r"^@register_build_dataflow_step\(\)\ndef (step_\w+)\(", text, re.MULTILINE))
    assert set(shell.STEPS) <= known
    text = (place / "interface" / "run_finn.py").read_text()
    script = (ROOT / "flows" / "finn" / "build.py").read_text()
    for option in re.findall(r'"(--\w+)"', script):
        assert f'"{option}"' in text


def test_what_finn_does_not_take_is_refused(tmp_path: Path) -> None:
    assert set(shell.BOARDS) == {name for name in boards.names() if system.has_processor(boards.load(name))}
    with pytest.raises(QapError, match="FINN has no shell for vcu118"):
        shell_plan(tmp_path, boards.load("vcu118"))
    other = replace(finn_design(tmp_path), backend="rtl")
    with pytest.raises(QapError, match="does not take a design of the rtl backend"):
        vendor.plan(other, PYNQ, tmp_path / "work", TOOLS, steps=["finn"])


# In the place of FINN's command: its result, or what goes wrong.
FAKE = """#!{python}
import os, pathlib, sys
expected = ["build", "--batch", "--output", "finn_shell", "finn_build.yaml", "finn_model.onnx"]
assert sys.argv[1:] == expected and all(pathlib.Path(name).is_file() for name in expected[-2:])
mode = os.environ.get("FAKE_FINN", "")
print("Running step: step_synthesize_bitfile [5/7]")
if mode == "fail":
    sys.exit("ERROR: FINN could not resolve the path of Vivado")
if mode == "licence":
    sys.exit("ERROR: [Common 17-345] A valid license was not found for feature 'Synthesis'")
out = pathlib.Path("finn_shell")
for folder in ("report", "bitfile"):
    (out / folder).mkdir(parents=True, exist_ok=True)
reports = pathlib.Path({reports!r})
(out / "report" / "post_synth_resources.json").write_text(pathlib.Path({golden!r}).read_text())
timing = (reports / "timing.rpt").read_text()
for gap, value in (("TOP", "another" if mode == "wrongtop" else "top_wrapper"), ("PART", "xc7z020clg400-1"),
                   ("CLOCK", "10.000"), ("STATE", "Routed"), ("NETS", "routed"), ("VERSION", "2023.2")):
    timing = timing.replace("@" + gap + "@", value)
(out / "report" / "post_route_timing.rpt").write_text(timing)
if mode != "nobit":
    (out / "bitfile" / "finn-accel.bit").write_text("bits")
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python beside which FINN's command is another program."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / "python").symlink_to(sys.executable)
    golden = str(ROOT / "tests" / "golden" / "reports" / "post_synth_resources.json")
    text = FAKE.format(python=sys.executable, reports=str(FAKES / "reports"), golden=golden)
    (place / "finn").write_text(text)
    os.chmod(place / "finn", 0o755)
    monkeypatch.setattr(sys, "executable", str(place / "python"))


@pytest.mark.usefixtures("installed")
def test_what_finns_builder_finds(tmp_path: Path) -> None:
    plan = shell_plan(tmp_path)
    result = vendor.run(plan)[0]
    assert result.measurement is not None and result.measurement.stage is Stage.ROUTED
    golden = json.loads((ROOT / "tests" / "golden" / "reports" / "post_synth_resources.json").read_text())
    assert result.measurement.total.lut == golden["(top)"]["LUT"]
    assert (result.target_ns, result.wns_ns) == (10.0, -1.054)
    assert "with the shell around it" in result.measurement.note and vendor.CAVEAT in result.measurement.note
    assert ran(plan) == []


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("mode, what", [
    ("fail", "Vivado 2023.2, finn: failed (1): ERROR: FINN could not resolve"), ("licence", "no licence"),
    ("nobit", "wrote no bitstream"), ("wrongtop", "is of 'another', not of 'top_wrapper'"),
])  # fmt: skip
def test_how_a_run_fails(tmp_path: Path, mode: str, what: str) -> None:
    plan = shell_plan(tmp_path)
    with pytest.raises(QapError, match=re.escape(what)) as caught:
        vendor.run(plan, runner=behaving(finn=mode))
    assert isinstance(caught.value, CheckFailed) == (mode == "wrongtop")
    assert ran(plan) == ["finn"]
