# SPDX-License-Identifier: Apache-2.0
"""A small HLS project, a small design and the mocks of AMD's tools, for the tests of the vendor flows."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest

from qap2fpga.hw.design import Design, HlsProject, Stream
from qap2fpga.synth import amd as vendor
from qap2fpga.system.programs import Runner, execute

FAKES = Path(__file__).parent / "fake_tools"
needs_tclsh = pytest.mark.skipif(
    shutil.which("tclsh") is None, reason="the mocks of the vendors' tools are Tcl scripts: apt install tcl"
)
VITIS = vendor.Tool("vitis-run", FAKES / "vitis-run", "2023.2", vendor.Kind.HLS)
VIVADO = vendor.Tool("vivado", FAKES / "vivado", "2023.2", vendor.Kind.VIVADO)
TOOLS = vendor.Tools(VITIS, VIVADO)


def behaving(**settings: object) -> Runner:
    """A runner in which the mocks of AMD's tools behave otherwise: `mode="csynth:crash"`, `reports=folder`, ..."""
    environment = {f"FAKE_{name.upper()}": str(value) for name, value in settings.items()}
    return partial(execute, environment=environment)


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def hls_project(folder: Path, **changes: object) -> HlsProject:
    """What hls4ml's backend leaves, as far as a vendor flow looks at it: three vectors of two inputs."""
    write(
        folder,
        {
            "firmware/qap2fpga.cpp": '#include "qap2fpga.h"\nvoid qap2fpga(input_t x[2], result_t y[1]) {}\n',
            "firmware/qap2fpga.h": '#include "ap_int.h"\n',
            "firmware/weights/w2.h": "",
            "firmware/ap_types/ap_int.h": "the mock of the HLS tool's own types",
            "tb_data/tb_input_features.dat": "1 2\n3 4\n-5 6\n",
            "tb_data/tb_output_predictions.dat": "3\n7\n1\n",
        },
    )
    fields = {
        "backend": "hls4ml", "folder": folder, "top": "qap2fpga", "sources": ("firmware/qap2fpga.cpp",), "data": (),
        "part": "xc7z020clg400-1",
        "clock_ns": 10.0, "strategy": "latency", "output_kind": "logits", "interval_cycles": 1,
        "input": Stream("features", 2, 2, 4, True), "output": Stream("result", 1, 1, 9, True), "traces": (),
    }  # fmt: skip
    return HlsProject(**{**fields, **changes})  # type: ignore[arg-type]


def rtl_design(folder: Path) -> Design:
    """A top and a memory whose content stands in a file."""
    write(
        folder,
        {
            "rom.sv": 'module rom (input logic ap_clk);\ninitial $readmemh("weights.dat", rom);\nendmodule\n',
            "top.v": "module top (input ap_clk, input ap_rst_n);\nrom rom_0 (.ap_clk(ap_clk));\nendmodule\n",
            "weights.dat": "0f\n",
            "notes.txt": "no part of the design",
        },
    )
    stream = Stream("in", 4, 1, 8, False)
    return Design("finn", folder, "top", ("rom.sv", "top.v"), ("weights.dat",), stream, stream, 4)
