# SPDX-License-Identifier: Apache-2.0
"""FINN's own builder, for those who want its shell: what it reads, which boards it has, what it leaves.

It goes on from the graph that the finn backend folded (`08_fold.onnx`). What follows FINN's last node in our design,
logits and class, is not in FINN's: its accelerator gives accumulators or counts, and its driver says so.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import yaml

from qap2fpga.hw.boards import Board
from qap2fpga.hw.design import Design
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import shipped, write_atomically

# FINN's names of the boards that its Zynq shell knows.
BOARDS = {
    "kv260": "KV260_SOM", "pynq-z1": "Pynq-Z1", "pynq-z2": "Pynq-Z2", "ultra96-v2": "Ultra96-V2", "zcu102": "ZCU102",
    "zcu104": "ZCU104",
}  # fmt: skip
# The graph is folded already; FINN sizes its FIFOs by its own simulation.
STEPS = (
    "step_apply_folding_config", "step_generate_estimate_reports", "step_generate_hardware", "step_create_stitched_ip",
    "step_synthesize_bitfile", "step_make_driver", "step_deployment_package",
)  # fmt: skip
OUTPUTS = ("estimate_reports", "stitched_ip", "bitfile", "pynq_driver", "deployment_package")
GRAPH = "08_fold.onnx"
SCRIPT, CONFIG, MODEL, FOLDING = "finn_build.py", "finn_build.yaml", "finn_model.onnx", "finn_folding.json"
TOP = "top_wrapper"
RESOURCES, TIMING = "reports/post_synth_resources.json", "reports/finn_timing.rpt"
REPORTS = {
    RESOURCES: ("finn_shell/report/post_synth_resources.json",),
    TIMING: ("finn_shell/report/post_route_timing.rpt",),
}
FILES = {"bitstream": ("finn_shell/bitfile/finn-accel.bit",)}


def require(backend: str, board: Board) -> None:
    """Raise `QapError` for the design of a backend, or a board, that FINN's builder does not take."""
    if backend != "finn":
        raise QapError(f"FINN's builder does not take a design of the {backend} backend", "choose another step")
    if BOARDS.get(board.name) is None:
        raise QapError(f"FINN has no shell for {board.name}", f"choose one of {', '.join(BOARDS)}")


def write(design: Design, board: Board, clock_ns: float, folder: Path) -> tuple[str, ...]:
    """Write what the builder reads into `folder`, and name it. Raises `QapError` for a design that it does not take."""
    config = {
        "board": BOARDS[board.name],
        "fpga_part": board.part,
        "shell_flow_type": "vivado_zynq",
        "synth_clk_period_ns": clock_ns,
        "folding_config_file": FOLDING,
        "generate_outputs": list(OUTPUTS),
        "instrumentation_no_dma": False,
        "steps": list(STEPS),
    }
    folding = {"Defaults": {}, **design.folding}
    folded = design.folder.parent / GRAPH
    if not folded.is_file():
        raise QapError(
            "FINN's builder takes chains of dense layers, none of which is multiplied without its zeros",
            "leave --sparse out, or --vendor finn",
        )
    shutil.copyfile(folded, folder / MODEL)
    write_atomically(folder / CONFIG, yaml.safe_dump(config))
    write_atomically(folder / FOLDING, json.dumps(folding, indent=1) + "\n")
    write_atomically(folder / SCRIPT, (shipped("flows") / "finn" / "build.py").read_text())
    return (SCRIPT, CONFIG, MODEL, FOLDING)
