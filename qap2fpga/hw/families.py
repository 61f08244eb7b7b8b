# SPDX-License-Identifier: Apache-2.0
"""Device families: what differs from one to the next in cells, names, tools and backends, as values.

Nothing else in the program asks which family a board is of. What a family needs of a higher package hangs on its
`cells`: `synth/mapping.py` has one mapper for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from qap2fpga.hw.resources import EVERY, LABELS, NAMES

# Estimates count LUTs of so many inputs, and so did the designs that they are calibrated with.
ESTIMATED_LUT_INPUTS = 6
ULTRARAM = "uram"


@dataclass(frozen=True)
class Family:
    """What is known of all parts of a family. `name` is the one in board files.

    `cells` is Yosys' name of its cells: `synth_<cells>` maps to them. `library` are Yosys' simulation models of them,
    below its share folder; `models`, files below `flows/`, are ours of those that a pattern matches, and come first.
    `timed`: Yosys knows how long its cells take.
    `counted` are the resources that are told apart, by name; `labels` is what the family calls those of a board.
    `backends` can make hardware for it. `amd`: AMD's tools know it. `open_route`: nextpnr and ecppack lead to a
    bitstream; such a board has constraints for its pins and runs at its oscillator's pace.
    `too_small` says what helps where a design does not fit; empty: what the backend advises.
    """

    name: str
    cells: str
    library: tuple[str, ...]
    models: Mapping[str, re.Pattern[str]]
    dsp_cell: str
    backends: tuple[str, ...]
    lut_inputs: int
    counted: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=lambda: LABELS)
    timed: bool = False
    amd: bool = False
    open_route: bool = False
    too_small: str = ""

    @property
    def estimated(self) -> bool:
        """Whether estimates of LUTs and flip-flops are of cells like these."""
        return self.lut_inputs == ESTIMATED_LUT_INPUTS


def _amd(name: str, dsp_cell: str, *, timed: bool = False, ultraram: bool = True) -> Family:
    """A family of AMD's, by its name in `synth_xilinx -family`."""
    return Family(
        name,
        cells="xilinx",
        library=("xilinx/cells_sim.v",),
        models={
            "open/luts.v": re.compile(r"LUT([1-6]|6_2)"),
            "open/dsp48e2.v": re.compile(r"DSP48E2"),
            "open/blockram.v": re.compile(r"RAMB(18|36)E[12]"),
        },
        dsp_cell=dsp_cell,
        backends=("finn", "hls4ml", "rtl"),
        lut_inputs=6,
        counted=tuple(one.name for one in EVERY if ultraram or one.name != ULTRARAM),
        timed=timed,
        amd=True,
    )


# The labels of ECP5 are nextpnr's: a TRELLIS_COMB is a 4-input LUT or one bit of a carry chain, a DP16KD holds 18 kbit
# (Lattice FPGA-DS-02012, chapter 2). UltraRAM: AMD DS890, not in all parts.
_ECP5 = Family(
    "ecp5",
    cells="ecp5",
    library=("ecp5/common_sim.vh", "ecp5/ccu2c_sim.vh"),
    models={"ecp5/luts.v": re.compile(r"LUT[24]")},
    dsp_cell="MULT18X18D",
    backends=("rtl",),
    lut_inputs=4,
    counted=(*NAMES, "carry"),
    labels=dict(zip(NAMES, ("TRELLIS_COMB", "TRELLIS_FF", "MULT18X18D", "DP16KD"), strict=True)),
    open_route=True,
    too_small="choose a larger part (ulx3s-85f has the largest), prune further, or use fewer bits",
)
# Yosys' `sta` has delays of 7 series' cells only.
FAMILIES = {
    one.name: one
    for one in (
        _amd("xc7", "DSP48E1", timed=True, ultraram=False),
        _amd("xcu", "DSP48E2", ultraram=False),
        _amd("xcup", "DSP48E2"),
        _ECP5,
    )
}
# A part that no shipped board has, in reports of AMD's tools.
OF_OTHER_REPORTS = _amd("", "")


def among(family: str, names: Iterable[str]) -> bool:
    """Return whether `family` is one of those that a backend names."""
    return family in names


def of(name: object) -> Family:
    """Return the family that a report names; where it names none, what holds for any of AMD's."""
    return FAMILIES.get(str(name), OF_OTHER_REPORTS)
