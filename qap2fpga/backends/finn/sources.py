# SPDX-License-Identifier: Apache-2.0
"""The RTL of a design, flat in one folder: FINN's generated wrappers, patched copies of its library, our modules.

The installed library is never touched. Each patch names what it replaces, which must occur exactly once in
the copy: a library that has changed is an error, not a surprise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from qap2fpga.backends.finn.session import TESTED, rtllib
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import shipped, write_atomically

# The library's files that a node needs, packages and leaves first. Left out: axilite.sv (nothing is written at
# run time), mvu_vvu_8sx9_dsp58.sv (Versal), fifo_gauge.sv (a model for simulation).
LIBRARY = {
    "MVAU_rtl": (
        "mvu/mvu_pkg.sv", "mvu/add_multi.sv", "mvu/replay_buffer.sv", "mvu/mvu.sv", "mvu/mvu_vvu_axi.sv",
    ),
    "Thresholding_rtl": ("thresholding/hdl/thresholding.sv", "thresholding/hdl/thresholding_axi.sv"),
    "StreamingDataWidthConverter_rtl": ("dwc/hdl/vpc.sv", "dwc/hdl/dwc_axi.sv"),
    "StreamingFIFO_rtl": ("fifo/hdl/fifo.sv",),
    "ConvolutionInputGenerator_rtl": ("swg/swg_pkg.sv", "swg/swg_common.sv"),
    "FMPadding_rtl": ("fmpadding/hdl/axi2we.sv", "fmpadding/hdl/fmpadding.sv", "fmpadding/hdl/fmpadding_axi.sv"),
}  # fmt: skip


@dataclass(frozen=True)
class Patch:
    """Replace the one text in `file` from `start` to `end` (both included; '': just `start`) by `by`."""

    file: str
    start: str
    end: str
    by: str
    why: str

    @property
    def pattern(self) -> re.Pattern[str]:
        rest = f".*?{re.escape(self.end)}" if self.end else ""
        return re.compile(re.escape(self.start) + rest, re.DOTALL)


_LEAF_LOADS = """\
	// Number of leaves below every node of the reduction tree (moved out of its generate block).
	localparam int unsigned  D = L < DEPTH? L : DEPTH;  // Pipeline stages absorbed by tree
	typedef int unsigned  leaf_load_t[2*N-1];
	function leaf_load_t init_leaf_loads();
		automatic leaf_load_t  res;
		for(int unsigned  i = 2*N-1; i-- > N-1;)  res[i] = 1;
		for(int unsigned  i =   N-1; i-- >   0;)  res[i] = res[2*i+1] + res[2*i+2];
		return  res;
	endfunction : init_leaf_loads

	uwire [SUM_WIDTH-1:0]  sum0;
"""
_ABITS = """\
	localparam int unsigned  LO_FULL = $clog2(DEPTH_REQ);
	localparam int unsigned  HI_FULL = LO_FULL < 1? 0 : $clog2(DEPTH_REQ - 2**(LO_FULL-1));
	localparam bit           SPLIT = (LO_FULL > MIN_ABITS) && (HI_FULL < LO_FULL - 1);
	localparam abits_t       ABITS = '{
		lo: SPLIT? LO_FULL - 1 : LO_FULL,
		hi: !SPLIT? 0 : HI_FULL < 1? 1 : HI_FULL
	};
"""
PATCHES = (
    Patch("add_multi.sv", "	uwire [SUM_WIDTH-1:0]  sum0;\n", "", _LEAF_LOADS,
          "slang finds no function that a generate block declares"),
    Patch("add_multi.sv", "		localparam int unsigned  D = L < DEPTH", "endfunction : init_leaf_loads\n", "",
          "the same, its old place"),
    Patch("mvu.sv", "	if(1) begin : blkRecoveryWatch", "end : blkRecoveryWatch\n", "",
          "a delay in nanoseconds, of use in simulation with Xilinx' models only"),
    Patch("mvu_vvu_axi.sv", "3 + $clog2(SIMD+1) + (SIMD == 1);", "", "3 + $clog2(SIMD) + 1 + (SIMD == 1);",
          "the depth of mvu.sv's pipeline; it was one short where SIMD is no power of two, and lost results then"),
    Patch("mvu_vvu_axi.sv", "MAX_IN_FLIGHT = CORE_PIPELINE_DEPTH;", "",
          "MAX_IN_FLIGHT = (CORE_PIPELINE_DEPTH + SF) / SF;",
          "results that can come after the one that finds the output blocked: one every SF cycles for the pipeline's "
          "depth and the cycle in which the lock is set. It was one too few for SF = 1, and far too many else"),
    Patch("thresholding.sv", "p.ptr[M-1:SN+1] < 2**stage - SCOPE_REDUCE", "",
          "(p.ptr[M-1:0] >> (SN+1)) < 2**stage - SCOPE_REDUCE",
          "slang refuses the reversed part-select of stage 0, although it is never used"),
    Patch("thresholding.sv", 'DEPTH_TRIGGER_BRAM? "distributed" : "auto"', "", '"auto"',
          "Yosys has no distributed ROM: what is not block RAM is logic by itself"),
    Patch("thresholding.sv", '(* DONT_TOUCH = USE_CONFIG? "TRUE" : "FALSE", RAM_STYLE = RAM_STYLE *)', "",
          "(* rom_style = RAM_STYLE *)",
          "it is a ROM, and Yosys wants the attribute in small letters"),
    Patch("fifo.sv", "	function abits_t INIT_ABITS();", "ABITS      = INIT_ABITS();\n", _ABITS,
          "Verilator 5.48 cannot fold a function that returns a struct"),
    Patch("fifo.sv", '		DEPTH <= 33?                      "shift" :\n', "",
          '		(DEPTH <= 33) && (RAM_STYLE != "distributed")? "shift" :\n',
          "Yosys makes flip-flops of a shift register that is read at a variable place, LUT RAM of this"),
    Patch("dwc_axi.sv", ".N(IBITS * OBITS)", "",
          ".N(IBITS % OBITS == 0? IBITS : OBITS % IBITS == 0? OBITS : IBITS * OBITS)",
          "no rotating buffer where one width divides the other: a shift register does"),
    *(Patch(file, f"`default_nettype {kind}\n", "", "", "slang: no directive inside a module")
      for file in ("fifo.sv", "vpc.sv") for kind in ("none", "wire")),
)  # fmt: skip


@dataclass
class Sources:
    """Collects files into `folder`; `verilog` and `data` are their names, in the order they were added."""

    folder: Path
    verilog: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)

    def add(self, name: str, text: str) -> None:
        """Write one Verilog or SystemVerilog file, once."""
        if name not in self.verilog:
            write_atomically(self.folder / name, text)
            self.verilog.append(name)

    def add_library(self, op_type: str) -> None:
        """The library's files that a node of `op_type` needs, patched."""
        for path in LIBRARY[op_type]:
            name = Path(path).name
            if name not in self.verilog:
                self.add(name, patched(name, (rtllib() / path).read_text()))

    def add_own(self, name: str) -> None:
        """One of the modules shipped in flows/finn."""
        self.add(name, (shipped("flows") / "finn" / name).read_text())

    def add_generated(self, name: str, folder: Path) -> None:
        """What FINN has generated for the node `name`; not its memory of weights, which `qap_weights` replaces."""
        for path in sorted([*folder.glob("*.v"), *folder.glob("*.sv")]):
            if not path.name.endswith("_memstream_wrapper.v"):
                self.add(path.name if path.suffix == ".sv" else f"{name}.v", path.read_text())
        for path in sorted(folder.glob("*.dat")):
            self.add_data(f"{name}_weights.dat" if path.name == "memblock.dat" else path.name, path.read_text())

    def add_data(self, name: str, text: str) -> None:
        """Write one memory content."""
        write_atomically(self.folder / name, text)
        self.data.append(name)


def patched(name: str, text: str) -> str:
    """`text` of the library file `name` with its patches. Raises `QapError` if one does not match exactly once."""
    for patch in PATCHES:
        if patch.file != name:
            continue
        count = len(patch.pattern.findall(text))
        if count != 1:
            raise QapError(
                f"FINN's {name}: the text to patch occurs {count} times, not once: {patch.start.strip()!r}",
                f"install the version this program was tested with: finn-plus {TESTED[-1]}",
            )
        start, end = next(patch.pattern.finditer(text)).span()
        text = text[:start] + patch.by + text[end:]
    return text
