# SPDX-License-Identifier: Apache-2.0
"""Proofs of a build's hardware, as a stage, and of a finished build, again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from qap2fpga.build import folder as stages
from qap2fpga.build import stored
from qap2fpga.build.request import Request
from qap2fpga.build.stored import Say, Stored
from qap2fpga.ir import storage
from qap2fpga.prove.certificate import Certificate, Word
from qap2fpga.prove.run import Subject
from qap2fpga.prove.run import prove as prove_subject
from qap2fpga.prove.simulated import CORE, Simulation, settled
from qap2fpga.system.codec import decode, encode
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import PLACE, write_atomically
from qap2fpga.system.progress import Progress
from qap2fpga.system.reading import shown

BACKENDS = ("rtl", "finn")
CERTIFICATE = "certificate.json"
# Inside the build's folder, for logs.
FOLDER = "prove"
# ABC's time for a module.
LIMIT_S = 60.0
# Designs up to so many LUTs, and LUTs times positions of a frame, take a minute or two, which is less than simulating
# their netlists does (64 layers of 100,000 LUTs: 107 s of computing); others are asked for.
QUICK_LUTS, QUICK_WORK = 100_000, 10_000_000
# Folded designs of so many LUTs take a minute or two, whatever their frames; memories become logic, large ones slowly.
QUICK_FOLDED, QUICK_BLOCKS = 30_000, 16


def is_due(request: Request, generated: Stored) -> bool:
    """Return whether a build is to prove its hardware: as asked, else where that is known how, and quick."""
    if request.backend not in BACKENDS or request.prove is not None:
        return bool(request.prove)
    design = generated["design"]
    luts = design["estimate"]["lut"]
    if request.backend == "finn":
        return bool(luts <= QUICK_FOLDED and design["estimate"]["bram18"] <= QUICK_BLOCKS)
    network = storage.load(request.output / generated["network"])
    positions = network.shapes[network.source.name].positions
    quick = luts <= QUICK_LUTS and luts * positions <= QUICK_WORK
    return quick and not design["data"]


def prove(request: Request, generated: Stored, synthesized: Stored, say: Say) -> Stored:
    """Prove what can be. Returns a certificate that knows of no simulations yet."""
    proven: Stored = encode(_proven(request.output, generated, synthesized["netlist"], LIMIT_S, say))
    return proven


def is_netlist_proven(proven: Stored) -> bool:
    """Return whether the netlist is shown to be the Verilog, so that it need not be simulated."""
    claim = _certificate(proven).netlist
    return claim is not None and claim.word is Word.PROVEN


def is_whole(proven: Stored) -> bool:
    """Return whether all is proven, but for what is known how to simulate alone."""
    return all(one.word is Word.PROVEN or one.claim == CORE for one in _certificate(proven).claims)


def certify(folder: Path, proven: Stored, simulations: Sequence[Stored], say: Say) -> Stored:
    """Write the certificate of what is `proven` and what `simulations` say of the rest, and return it."""
    certificate = settled(_certificate(proven), _ran(simulations, folder, "simulate or netlist"))
    count = sum(one.word is Word.PROVEN for one in certificate.claims)
    say(f"{CERTIFICATE}: {count} of {len(certificate.claims)} claims are proven")
    return _write(folder, certificate)


def again(folder: Path, limit_s: float, progress: Progress) -> Certificate:
    """Prove a finished build again, from the files in its folder, and return the certificate, which is written there.

    Raises `QapError` for a folder that is no build of Verilog.
    """
    hint = f"qap2fpga build MODEL --board BOARD --backend {' or '.join(BACKENDS)}"
    generated = stages.stored(folder, "generate", hint)
    if not isinstance(generated, dict) or generated.get("backend") not in BACKENDS:
        by = generated.get("backend") if isinstance(generated, dict) else None
        raise QapError(f"{folder} is a build of the backend {shown(by)}", hint)
    if generated.get("network") not in ("network.npz", stored.RELAXED):
        raise QapError(
            f"{folder}: what stage 'generate' stored names the network {shown(generated.get('network'))}", hint
        )
    synthesized = stages.stored(folder, "synthesize", hint)
    netlist = synthesized.get("netlist") if isinstance(synthesized, dict) else None
    if not isinstance(netlist, list) or not all(isinstance(name, str) and PLACE.fullmatch(name) for name in netlist):
        raise QapError(f"{folder}: what stage 'synthesize' stored names no netlist", hint)
    with stages.BuildFolder(folder, progress), progress.stage("prove: for every input") as say:
        certificate = settled(_proven(folder, generated, netlist, limit_s, say), _simulations(folder))
        _write(folder, certificate)
    return certificate


def _certificate(proven: Stored) -> Certificate:
    return decode(Certificate, proven, "", "what stage 'prove' stored")


def _write(folder: Path, certificate: Certificate) -> Stored:
    content: Stored = encode(certificate)
    write_atomically(folder / CERTIFICATE, json.dumps(content, indent=1))
    return content


def _proven(folder: Path, generated: Stored, netlist: list[str], limit_s: float, say: Say) -> Certificate:
    file = folder / generated["network"]
    design = stored.design(generated, folder)
    subject = Subject(design, storage.load(file), file, tuple(folder / name for name in netlist))
    return prove_subject(subject, folder / FOLDER, limit_s, say)


def _simulations(folder: Path) -> tuple[Simulation, ...]:
    """Return what the build has compared in simulations, which says what is known of parts that are not proven."""
    results: list[Simulation] = []
    for stage in ("simulate", "netlist"):
        if not (folder / stages.MARK / f"{stage}.json").is_file():
            continue
        content = stages.stored(folder, stage)
        results += _ran(content if isinstance(content, list) else [content], folder, stage)
    return tuple(results)


def _ran(results: Sequence[object], folder: Path, stage: str) -> list[Simulation]:
    """Return the simulations among a stage's results; one that had no model of a cell ran no vector."""
    ran = []
    for one in results:
        match one:
            case {"compared": str(compared), "vectors": int(vectors), "mismatches": int(mismatches)}:
                ran.append(Simulation(compared, vectors, mismatches))
            case {"compared": str(), "vectors": 0, "mismatches": None}:
                continue
            case _:
                raise QapError(f"{folder}: what stage '{stage}' stored is no simulation", stages.BUILD_AGAIN)
    return ran
