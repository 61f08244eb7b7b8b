# SPDX-License-Identifier: Apache-2.0
"""AMD's own tools, where they are installed: Vitis HLS for hls4ml projects, Vivado for every design.

found = vendor.find()
planned = vendor.plan(project_or_design, board, folder, found)
print(planned.text)
results = vendor.run(planned)
"""

from qap2fpga.synth.amd.result import CAVEAT, Result
from qap2fpga.synth.amd.resume import run
from qap2fpga.synth.amd.steps import (
    HLS_STEPS,
    SYSTEM_STEPS,
    TIME_LIMITS_S,
    VIVADO_STEPS,
    Plan,
    Step,
    plan,
    usual_steps,
)
from qap2fpga.synth.amd.tool import Kind, Tool, Tools, absent, find

__all__ = [
    "CAVEAT", "HLS_STEPS", "SYSTEM_STEPS", "TIME_LIMITS_S", "VIVADO_STEPS", "Kind", "Plan", "Result", "Step", "Tool",
    "Tools", "absent", "find", "plan", "run", "usual_steps",
]  # fmt: skip
