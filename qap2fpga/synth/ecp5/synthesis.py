# SPDX-License-Identifier: Apache-2.0
"""A design to ECP5 cells by Yosys: what is counted and simulated, and, with the pins' module around it, placed.

DSP policy as for the other families: `-nodsp`. Cells: Lattice FPGA-DS-02012, chapter 2,
and the models in Yosys' share/ecp5.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from qap2fpga.hw.design import Design, Measurement, Stage
from qap2fpga.hw.resources import Resources
from qap2fpga.synth import yosys
from qap2fpga.synth.ecp5 import wrapper
from qap2fpga.synth.jobs import Cells, JoinEcp5, MapEcp5, ask
from qap2fpga.synth.yosys import Synthesis
from qap2fpga.system.files import scratch, write_atomically

Progress = Callable[[str], None]
WORKER = Path(__file__).with_name("worker.py")
OPTIONS = ("-nodsp", "-noabc9")
TIME_LIMIT_S = 1800.0
# LUTs of each kind of cell. PFUMX and L6MUX21 are multiplexers beside the LUTs and take none.
LUTS = {"LUT4": 1, "CCU2C": 2}
FREE = ("PFUMX", "L6MUX21")


def map_design(
    design: Design, folder: Path, *, time_limit_s: float = TIME_LIMIT_S, progress: Progress = lambda text: None
) -> Synthesis:
    """Map `design`; its netlist is one Verilog file. Raises `QapError` when Yosys is missing, fails or is too slow."""
    folder.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    yosys.version()
    with scratch(folder) as place:
        netlist = place / "netlist.v"
        job = MapEcp5(
            top=design.top, options=OPTIONS,
            sources=tuple(str((design.folder / name).resolve()) for name in design.sources),
            statistics=str((place / "map.stat.json").resolve()), netlist=str(netlist.resolve()),
        )  # fmt: skip
        answer = ask(WORKER, job, Cells, name="map", what="map", logs=folder, place=place, limit_s=time_limit_s)
        progress(f"mapped {design.top} to ecp5 cells with Yosys {yosys.version()} in {time.monotonic() - begin:.1f} s")
        return Synthesis(answer.cells, (netlist.replace(folder / netlist.name),))


def measurement(done: Synthesis) -> Measurement:
    """The cells that Yosys made, as the LUTs and carry bits that they are."""
    parts = {name: count(cells) for name, cells in done.cells.items() if name and len(done.cells) > 1}
    note = "a LUT is a 4-input one or a bit of a carry chain; nextpnr adds some to begin and end chains"
    strange = {kind: number for kind, number in done.total.items() if kind not in (*LUTS, *FREE, "TRELLIS_FF")}
    if strange:
        note += "; not counted: " + ", ".join(f"{number} {kind}" for kind, number in strange.items())
    return Measurement("yosys", yosys.version(), Stage.SYNTHESIS, count(done.total), parts, note)


def count(cells: Mapping[str, int]) -> Resources:
    """Resources of `cells`, number by type. There are no memories and no multipliers in an unrolled network."""
    return Resources(
        lut=sum(number * cells.get(kind, 0) for kind, number in LUTS.items()),
        ff=cells.get("TRELLIS_FF", 0), dsp=cells.get("MULT18X18D", 0), bram18=cells.get("DP16KD", 0),
        carry=cells.get("CCU2C", 0),
    )  # fmt: skip


def join(design: Design, netlist: Path, clock_ns: float, folder: Path, *, hold_high: bool) -> Path:
    """The JSON netlist of `wrapper.TOP` for nextpnr: `netlist`, untouched, with a serial port."""
    yosys.version()
    folder.mkdir(parents=True, exist_ok=True)
    top = folder / f"{wrapper.TOP}.v"
    write_atomically(top, wrapper.verilog(design, clock_ns, hold_high=hold_high))
    with scratch(folder) as place:
        joined = place / f"{wrapper.TOP}.json"
        job = JoinEcp5(
            top=wrapper.TOP, options=OPTIONS, netlist=str(netlist.resolve()),
            wrapper=tuple(str(path.resolve()) for path in (*wrapper.sources(), top)),
            statistics=str((place / "join.stat.json").resolve()), joined=str(joined.resolve()),
        )  # fmt: skip
        ask(WORKER, job, Cells, name="join", what="join", logs=folder, place=place, limit_s=TIME_LIMIT_S)
        return joined.replace(folder / joined.name)
