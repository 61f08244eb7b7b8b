# SPDX-License-Identifier: Apache-2.0
"""Folders as vendors' tools leave them: small reports in their layouts, with the numbers that a test wants."""

from __future__ import annotations

import json
from pathlib import Path

PART = "xc7z020-clg400-1"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def csynth(
    path: Path, lut: int = 1000, ff: int = 400, top: str = "net", *, part: str = PART, latency: int = 12,
    period: float = 4.5, dsp: int = 5,
) -> Path:  # fmt: skip
    """csynth.xml of Vitis HLS, clock target 5 ns."""
    resources = f"<DSP>{dsp}</DSP><FF>{ff}</FF><LUT>{lut}</LUT><BRAM_18K>2</BRAM_18K>"
    return write(
        path,
        f"""<profile><ReportVersion><Version>2022.2</Version></ReportVersion>
    <UserAssignments><unit>ns</unit><Part>{part}</Part><TopModelName>{top}</TopModelName>
    <TargetClockPeriod>5.00</TargetClockPeriod><FlowTarget>vivado</FlowTarget></UserAssignments>
    <PerformanceEstimates>
    <SummaryOfTimingAnalysis><EstimatedClockPeriod>{period}</EstimatedClockPeriod></SummaryOfTimingAnalysis>
    <SummaryOfOverallLatency><Best-caseLatency>{latency}</Best-caseLatency><Worst-caseLatency>{latency}
    </Worst-caseLatency><Interval-min>1</Interval-min><Interval-max>1</Interval-max></SummaryOfOverallLatency>
    </PerformanceEstimates><AreaEstimates><Resources>{resources}</Resources></AreaEstimates></profile>""",
    )


def cosim(path: Path, latency: int = 12, status: str = "Pass") -> Path:
    """<top>_cosim.rpt of Vitis HLS."""
    numbers = "|".join([str(latency)] * 3 + ["1"] * 3)
    return write(
        path,
        f"""
Simulation tool   : xsim.

+----------+------+-----+-----+-----+---+---+---+
|   RTL    |Status|  min|  avg|  max|min|avg|max|
+----------+------+-----+-----+-----+---+---+---+
|      VHDL|    NA|   NA|   NA|   NA| NA| NA| NA|
|   Verilog|{status}|{numbers}|
+----------+------+-----+-----+-----+---+---+---+
""",
    )


def _head(command: str, top: str, part: str, state: str | None) -> str:
    line = "----------------------------------------------------------------\n"
    stated = "" if state is None else f"| Design State : {state}\n"
    return (
        f"Copyright line of the tool\n{line}| Tool Version : Vivado v.2022.2 (lin64)\n| Command      : {command}\n"
        f"| Design       : {top}\n| Device       : {part}\n{stated}{line}\n"
    )


def utilization(
    path: Path, lut: int = 600, ff: int = 300, top: str = "net", *, part: str = "7z020clg400-1",
    state: str = "Synthesized", boxes: tuple[str, ...] = (), dsp: int = 4,
) -> Path:  # fmt: skip
    """report_utilization of Vivado, of a Zynq 7020."""

    def table(*rows: tuple[str, object, object]) -> str:
        border = "+--+--+--+--+--+\n"
        lines = "".join(f"| {name} | {used} | 0 | {room} | 1.00 |\n" for name, used, room in rows)
        return f"{border}| Site Type | Used | Fixed | Available | Util% |\n{border}{lines}{border}\n\n"

    cells = "".join(f"| {name} | 1 |\n" for name in boxes)
    border = "+--+--+\n"
    return write(
        path,
        _head("report_utilization -file u.rpt", top, part, state)
        + f"""Utilization Design Information

Table of Contents
-----------------
1. Slice Logic
2. Memory
3. DSP
4. Black Boxes

1. Slice Logic
--------------

{table(("Slice LUTs", lut, 53200), ("  LUT as Memory", 0, 17400), ("Slice Registers", ff, 106400))}
2. Memory
---------

{table(("Block RAM Tile", 1, 140))}
3. DSP
------

{table(("DSPs", dsp, 220))}
4. Black Boxes
--------------

{border}| Ref Name | Used |
{border}{cells}{border}
""",
    )


def timing(
    path: Path, slack: float = 0.5, top: str = "net", *, part: str = "7z020-clg400", state: str = "Routed"
) -> Path:
    """report_timing of one path, clock 5 ns."""
    net = {"Routed": "routed", "Synthesized": "unplaced"}[state]
    clock = "(rising edge-triggered cell FDRE clocked by ap_clk  {rise@0.000ns fall@2.500ns period=5.000ns})"
    return write(
        path,
        _head("report_timing -file t.rpt", top, part, None)
        + f"""Timing Report

Slack (MET) :             {slack:.3f}ns  (required time - arrival time)
  Source:                 a_reg/C
                            {clock}
  Destination:            b_reg/D
                            {clock}
  Path Group:             ap_clk
  Path Type:              Setup (Max at Slow Process Corner)
  Requirement:            5.000ns  (ap_clk rise@5.000ns - ap_clk rise@0.000ns)

                         net (fo=5, {net})         0.136     0.213    a
  -------------------------------------------------------------------
                         slack                                 {slack:.3f}
""",
    )


def finn(folder: Path, *, latency: int = 54, bound: int = 60) -> Path:
    """FINN's `report` folder: estimates, RTL simulation, and the routed design with its shell."""

    def put(name: str, content: object) -> None:
        write(folder / "report" / f"{name}.json", json.dumps(content))

    put("estimate_layer_resources", {"MVAU_0": {"LUT": 380, "BRAM_18K": 4, "DSP": 0},
                                     "total": {"LUT": 380, "BRAM_18K": 4, "DSP": 0}})  # fmt: skip
    put(
        "estimate_network_performance", {"critical_path_cycles": bound, "max_cycles": 14, "estimated_latency_ns": 600.0}
    )
    put("rtlsim_performance", {"N": 1, "latency_cycles": latency, "interval_cycles": 3, "fclk[mhz]": 100.0})
    put("post_synth_resources", {"(top)": {"LUT": 893, "FF": 655, "BRAM_18K": 3, "DSP": 0}})
    put("time_per_step", {"step": 1.0})
    return folder


def hls_project(folder: Path, lut: int = 1000, ff: int = 400, synthesized: int | None = 600) -> Path:
    """hls4ml's layout: C synthesis in the project, Vivado's report beside it."""
    csynth(folder / "net_prj" / "solution1" / "syn" / "report" / "csynth.xml", lut, ff)
    if synthesized is not None:
        utilization(folder / "vivado_synth.rpt", synthesized)
    return folder
