# SPDX-License-Identifier: Apache-2.0
"""ecppack: what nextpnr placed and routed, as the bitstream that a part is loaded with."""

from __future__ import annotations

import os
from pathlib import Path

from qap2fpga.synth.ecp5 import tool
from qap2fpga.system import programs as tools
from qap2fpga.system.errors import QapError

TIME_LIMIT_S = 600.0


def pack(config: Path, bitstream: Path) -> Path:
    """Write `bitstream` from nextpnr's `config`. Raises `QapError` when ecppack is missing or fails."""
    program = tool.require(tool.PACKER)
    partial, log = bitstream.with_suffix(".part"), bitstream.with_suffix(".log")
    # Relative paths: the packaged program has a /tmp of its own.
    source = os.path.relpath(config, bitstream.parent)
    command: list[str | os.PathLike[str]] = [program.path, "--compress", "--input", source, "--bit", partial.name]
    partial.unlink(missing_ok=True)
    tools.run(command, log=log, folder=bitstream.parent, time_limit_s=TIME_LIMIT_S)
    if not partial.is_file() or not partial.stat().st_size:
        raise QapError(f"{tool.PACKER} left no bitstream", f"its log: {log}")
    return partial.replace(bitstream)
