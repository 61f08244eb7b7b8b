# SPDX-License-Identifier: Apache-2.0
"""Under which keys the cache of all builds has what a stage left: digests of all that goes in, but no place or name.

So another board of the same family takes what Yosys made of the same Verilog, and another backend the same network.
"""

from __future__ import annotations

from pathlib import Path

from qap2fpga.build import making, proving
from qap2fpga.build.folder import Shared
from qap2fpga.build.state import Run
from qap2fpga.ir import storage
from qap2fpga.system.files import sha256
from qap2fpga.system.versions import digest


def model(run: Run) -> Shared:
    """The network and its vectors, of a file of the same content and name. A backend may refuse it, as it is made."""

    def accept(files: Path) -> None:
        making.admit(storage.load(files / "network.npz"), run.request)

    return Shared(digest("model", run.model_key, run.request.model.name), accept)


def synthesis(run: Run) -> Shared:
    """What Yosys makes of the same hardware for a family."""
    return Shared(digest("synthesize", run.circuit_key, run.request.board.family))


def timing(run: Run) -> Shared:
    """The longest path of the same netlist."""
    key = digest("time", run.program_key, run.circuit["design"]["top"], run.netlist_key, run.request.board.family)
    return Shared(key, keeps=lambda path: path["ns"] is not None)


def simulation(run: Run) -> Shared:
    """What the same hardware's simulation gives for the same vectors."""
    return Shared(digest("simulate", run.circuit_key, run.reference_key))


def netlist(run: Run) -> Shared:
    """The same of a netlist."""
    return Shared(digest("netlist", run.circuit_key, run.reference_key, run.netlist_key, run.request.board.family))


def proof(run: Run) -> Shared:
    """What is proven of the same hardware, netlist and network. The certificate names the network's file.

    Where a proof did not come through, it is tried again: it may have wanted more time.
    """
    network = run.circuit["network"]
    of = (network, sha256(run.request.output / network), run.circuit_key, run.netlist_key)
    return Shared(digest("prove", *of, proving.LIMIT_S), keeps=proving.is_whole)
