# SPDX-License-Identifier: Apache-2.0
"""AMD's tools on what was made."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

from qap2fpga.build import stored
from qap2fpga.build.request import Request
from qap2fpga.build.stored import Say, Stored
from qap2fpga.synth.amd.steps import Plan


def plan(request: Request, generated: Stored, *, installed: bool = True) -> Plan | None:
    """What AMD's tools are to do with the design or project, written to the folder `vendor`; None: nothing.

    Without a wish of the user's these are the usual steps, of tools that are there if `installed`.
    """
    from qap2fpga.synth import amd as vendor

    tools, artifact = vendor.find(), stored.artifact(generated, request.output)
    steps = request.vendor if request.board.device_family.amd else ()
    if steps is None:
        kinds = {kind for kind in vendor.Kind if tools.of(kind) is not None or not installed}
        steps = vendor.usual_steps(kinds, hls=artifact.circuit is None)
    if not steps:
        return None
    return vendor.plan(artifact, request.board, request.output / "vendor", tools, steps=steps)


def run(plan: Plan, output: Path, say: Say) -> list[Stored]:
    """What each step of AMD's tools found. A bitstream goes beside its driver."""
    from qap2fpga.synth import amd as vendor

    say(vendor.CAVEAT)
    outcome = vendor.run(plan, progress=say)
    for name in overlay(plan):
        shutil.copyfile(plan.folder / "overlay" / Path(name).name, output / name)
    return [asdict(one) for one in outcome]


def overlay(plan: Plan) -> tuple[str, ...]:
    """What the plan's bitstream leaves beside the driver, relative to the build's folder."""
    packed = any(step.name == "bitstream" for step in plan.steps)
    return ("driver/network.bit", "driver/network.hwh") if packed else ()
