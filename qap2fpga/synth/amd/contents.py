# SPDX-License-Identifier: Apache-2.0
"""The files of a plan's folder: copies of a project or a design, and `settings.tcl`, which the scripts read."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from qap2fpga.hw.design import Artifact
from qap2fpga.system.files import shipped

SOLUTION = "hls_prj/solution1"
# Both the default of the HLS tool and of hls4ml's Vitis backend.
CLOCK_UNCERTAINTY = "27%"
# What feeds a project, and what it includes.
BENCH = ("testbench.cpp", "qap_frame.h")
# What hls4ml asks the HLS tools for.
STANDARD = "-std=c++0x"
FIRMWARE, VECTORS, ANSWERS = "firmware", "tb_data/tb_input_features.dat", "tb_data/tb_output_predictions.dat"

Value = str | float | tuple[str, ...]


def take(artifact: Artifact, folder: Path) -> tuple[str, ...]:
    """Copy what the tools read into `folder`, and name it, relative to there."""
    return _take_project(artifact, folder) if artifact.circuit is None else _take_design(artifact, folder)


def settings(artifact: Artifact) -> dict[str, Value]:
    """What the scripts must know of it, beside top, part and clock."""
    return _project_settings(artifact) if artifact.circuit is None else _design_settings(artifact)


def _take_project(project: Artifact, folder: Path) -> tuple[str, ...]:
    """Copy what an HLS tool reads, laid out as hls4ml does; not its mocks of the tool's own types."""
    for name in (FIRMWARE, "tb_data"):
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(
            project.folder / name, folder / name, ignore=shutil.ignore_patterns("ap_types", "*.so", "*.log")
        )
    for name in BENCH:
        shutil.copyfile(shipped("flows") / "hls4ml" / name, folder / name)
    copied = [path for name in (FIRMWARE, "tb_data") for path in (folder / name).rglob("*") if path.is_file()]
    return (*BENCH, *sorted(path.relative_to(folder).as_posix() for path in copied))


def _take_design(design: Artifact, folder: Path) -> tuple[str, ...]:
    """Copy sources and memory contents under their own names, by which the sources find the contents."""
    names = (*design.sources, *design.data)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(design.folder / name, folder / name)
    return names


def _project_settings(project: Artifact) -> dict[str, Value]:
    sizes = f"-DQAP_INPUTS={project.input.elements} -DQAP_OUTPUTS={project.output.elements}"
    if not project.wrappable:
        sizes += " -DQAP_STREAM"
    return {
        "clock_uncertainty": CLOCK_UNCERTAINTY,
        "flags": STANDARD,
        "bench_flags": f"{STANDARD} {sizes}",
        "testbench": BENCH[0],
        "testbench_data": "tb_data",
        "ip_version": "1.0.0",
        # C++ for the HLS scripts; synth.tcl is given what they make of it.
        "hls_sources": project.sources,
        "sources": (f"{SOLUTION}/syn/verilog/*.v",),
        "memories": (f"{SOLUTION}/syn/verilog/*.dat",),
    }


def _design_settings(design: Artifact) -> dict[str, Value]:
    return {"sources": design.sources, "memories": design.data}


def tcl_settings(values: Mapping[str, Value]) -> str:
    """A Tcl script that sets each name to its value; a tuple becomes a list."""
    lines = ["# SPDX-License-Identifier: Apache-2.0", "# Written by qap2fpga for one design: what the scripts work on."]
    for name, value in values.items():
        words = " ".join(["list", *(tcl_word(one) for one in value)]) if isinstance(value, tuple) else ""
        lines.append(f"set {name} [{words}]" if words else f"set {name} {tcl_word(str(value))}")
    return "\n".join(lines) + "\n"


def tcl_word(text: str) -> str:
    """`text` as one word of Tcl that nothing is substituted in."""
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    for letter in '"$[]':
        escaped = escaped.replace(letter, "\\" + letter)
    return f'"{escaped}"'
