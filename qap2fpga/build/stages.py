# SPDX-License-Identifier: Apache-2.0
"""The stages of a build, declared as data: what each needs, makes and is keyed by. `run.py` runs them in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from qap2fpga import backends
from qap2fpga.build import amd, making, mapping, proving, sharing, simulating
from qap2fpga.build.folder import Shared
from qap2fpga.build.request import Request
from qap2fpga.build.state import Run
from qap2fpga.build.stored import RELAXED, Say, Stored
from qap2fpga.ir.outputs import require_classes
from qap2fpga.report.routed import met
from qap2fpga.system.errors import CheckFailed, QapError


def _always(run: Run) -> bool:
    return True


def _nothing(run: Run, result: Any) -> Iterable[str]:
    return ()


@dataclass(frozen=True)
class Stage:
    """One stage; `name` is that of its record in the build folder.

    It runs if the request goes as far as `until`, the stages that it `needs` have stored something, and `when` holds.
    `key` is a digest of all that goes in, `makes` names the files and folders that it leaves (also told from its
    result), `body` does the work. `confirm` is asked each time, also when the result is there already. `forgets`: the
    body forgets its own record, when it has something to write. `shared` is how the cache of all builds knows it, by
    all that goes in but for where it stands; None: it is not there.
    """

    name: str
    until: str
    title: Callable[[Run], str]
    key: Callable[[Run], str]
    body: Callable[[Run, Say], Any]
    needs: tuple[str, ...] = ()
    when: Callable[[Run], bool] = _always
    makes: Callable[[Run, Any], Iterable[str]] = _nothing
    confirm: Callable[[Run], None] | None = None
    forgets: bool = False
    shared: Callable[[Run], Shared] | None = None

    def is_due(self, run: Run) -> bool:
        """Return whether the stage is to run now."""
        return run.request.reaches(self.until) and all(name in run.stored for name in self.needs) and self.when(run)


def _has_circuit(run: Run) -> bool:
    return run.results.circuit is not None


def _confirm_classes(run: Run) -> None:
    require_classes(run.request.output_kind, run.stored["model"]["facts"]["outputs"])


def _generated(run: Run, result: Any) -> Iterable[str]:
    return (run.request.backend, "driver") if result["driver"] is not None else (run.request.backend,)


def _open_route(run: Run) -> bool:
    return run.request.board.device_family.open_route


def _place_and_route(run: Run) -> str:
    from qap2fpga.synth.ecp5 import tool

    where = f", on {run.request.cross_check}: another device" if run.request.cross_check else ""
    return f"place and route: {tool.PLACER}{where}"


def _pack(run: Run) -> str:
    from qap2fpga.synth.ecp5 import tool

    return f"bitstream: {tool.PACKER}"


def _reached(run: Run) -> bool:
    """Whether the routed design reaches its clock."""
    placed = run.stored["route"]
    return met(placed["achieved_ns"], placed["target_ns"])


def _asks_for_system(run: Run) -> bool:
    """Whether the design is to stand in a Zynq, and AMD's tools are there for it."""
    return "system" in (run.request.vendor or ()) and run.plan is not None and not run.plan.missing


def _vendor_steps(run: Run) -> str:
    return f"vendor: {', '.join(step.name for step in run.planned.steps)}"


def _substitute(run: Run) -> str:
    return backends.get(run.request.backend).substitute


def _netlist_is_open(run: Run) -> bool:
    """Whether simulation is to show that the netlist is right: it is not proven."""
    return "prove" not in run.stored or not proving.is_netlist_proven(run.stored["prove"])


def _simulations(run: Run) -> list[Stored]:
    return [*run.stored["simulate"], *([run.stored["netlist"]] if "netlist" in run.stored else [])]


def _generate_substitute(run: Run, say: Say) -> Stored:
    """Another backend's circuit of the same network, and why it is measured; or why there is none."""
    from qap2fpga.synth import amd as vendor

    other, why = _substitute(run), {"why": vendor.absent(vendor.Kind.HLS)}
    options = backends.get(other).options_like(run.request.options)
    try:
        return making.generate(run.request, other, options, run.stored["model"], lambda name: None, say) | why
    except CheckFailed:
        raise
    except QapError as error:
        # The backend's own result stands; there is only no open measurement beside it.
        return {"backend": other, "refused": str(error), **why}


MODEL = Stage(
    "model", "model", lambda run: "model: export, lower, compare", lambda run: run.model_key,
    lambda run, say: making.model(run.request, run.folder.forget, say),
    makes=lambda run, result: making.MODEL_FILES, confirm=_confirm_classes, forgets=True, shared=sharing.model,
)  # fmt: skip
RELAX = Stage(
    "relax", "generate", lambda run: f"relax: requantizers within {run.request.tolerance} of an exact step",
    lambda run: run.design_key, lambda run, say: making.relax(run.request, say),
    needs=("model",), when=lambda run: run.request.tolerance > 0, makes=lambda run, result: (RELAXED,),
)  # fmt: skip
GENERATE = Stage(
    "generate", "generate", lambda run: f"generate: {run.request.backend}", lambda run: run.design_key,
    lambda run, say: making.generate(
        run.request, run.request.backend, run.request.options, run.stored["model"], run.folder.forget, say
    ),
    needs=("model",), makes=_generated, forgets=True,
)  # fmt: skip
C_SIMULATION = Stage(
    "csim", "simulate", lambda run: "simulate: C++ with g++", lambda run: run.design_key,
    lambda run, say: simulating.simulate_c(run.request, run.generated, say), needs=("generate",),
)  # fmt: skip
SUBSTITUTE = Stage(
    "stand-in", "synthesize", lambda run: f"generate: {_substitute(run)}, to stand in for synthesis",
    lambda run: run.design_key, _generate_substitute,
    needs=("generate",), when=lambda run: "vendor" not in run.stored,
)  # fmt: skip
SYNTHESIZE = Stage(
    "synthesize", "synthesize", lambda run: "synthesize: Yosys", lambda run: run.design_key,
    lambda run, say: mapping.synthesize(run.request, run.circuit, say),
    needs=("generate",), when=_has_circuit, makes=lambda run, result: result["netlist"], shared=sharing.synthesis,
)  # fmt: skip
SIMULATE = Stage(
    "simulate", "simulate", lambda run: "simulate: RTL in Verilator", lambda run: run.design_key,
    lambda run, say: simulating.simulate_rtl(run.request, run.circuit, say), needs=("generate",), when=_has_circuit,
    shared=sharing.simulation,
)  # fmt: skip
TIME = Stage(
    "time", "synthesize", lambda run: "longest path of cells: Yosys", lambda run: run.design_key,
    lambda run, say: mapping.time(run.request, run.circuit, run.stored["synthesize"], say),
    needs=("synthesize",), when=lambda run: run.request.board.device_family.timed, shared=sharing.timing,
)  # fmt: skip
NETLIST = Stage(
    "netlist", "synthesize", lambda run: "simulate: gate-level netlist", lambda run: run.design_key,
    lambda run, say: simulating.simulate_netlist(run.request, run.circuit, run.stored["synthesize"], say),
    needs=("synthesize",), when=_netlist_is_open, shared=sharing.netlist,
)  # fmt: skip
PROVE = Stage(
    "prove", "synthesize", lambda run: "prove: for every input", lambda run: run.design_key,
    lambda run, say: proving.prove(run.request, run.circuit, run.stored["synthesize"], say),
    needs=("generate", "synthesize"), when=lambda run: proving.is_due(run.request, run.generated),
    shared=sharing.proof,
)  # fmt: skip
CERTIFY = Stage(
    "certify", "synthesize", lambda run: "certificate", lambda run: run.design_key,
    lambda run, say: proving.certify(run.request.output, run.stored["prove"], _simulations(run), say),
    needs=("prove",), makes=lambda run, result: (proving.CERTIFICATE,),
)  # fmt: skip
PINS = Stage(
    "pins", "simulate", lambda run: "simulate: pins, a UART on both ends", lambda run: run.design_key,
    lambda run, say: simulating.simulate_pins(run.request, run.generated, say), needs=("generate",), when=_open_route,
)  # fmt: skip
CROSS_CHECK = Stage(
    "cross-check", "route", _place_and_route, lambda run: run.cross_key,
    lambda run, say: mapping.cross_check(run.request, run.generated, say),
    needs=("synthesize",), when=lambda run: bool(run.request.cross_check),
)  # fmt: skip
ROUTE = Stage(
    "route", "route", _place_and_route, lambda run: run.route_key,
    lambda run, say: mapping.route(run.request, run.generated, run.stored["synthesize"], say),
    needs=("synthesize",), when=_open_route,
    makes=lambda run, result: (mapping.CONFIG,) if result["achieved_ns"] is not None else (),
)  # fmt: skip
BITSTREAM = Stage(
    "bitstream", "route", _pack, lambda run: run.route_key, lambda run, say: mapping.bitstream(run.request, say),
    needs=("route",), when=_reached, makes=lambda run, result: (mapping.BITSTREAM,),
)  # fmt: skip
DMA = Stage(
    "dma", "synthesize", lambda run: "simulate: from DMA word to DMA word", lambda run: run.vendor_key,
    lambda run, say: simulating.simulate_dma(run.request, run.generated, say), needs=("generate",),
    when=_asks_for_system,
)  # fmt: skip
VENDOR = Stage(
    "vendor", "synthesize", _vendor_steps, lambda run: run.vendor_key,
    lambda run, say: amd.run(run.planned, run.request.output, say),
    needs=("generate",), when=lambda run: run.plan is not None,
    makes=lambda run, result: amd.overlay(run.planned),
)  # fmt: skip

# Lanes of a group run at the same time, the stages of a lane one after the other. Yosys uses two cores to map, proofs
# use two after a while, and all else one.
Lane = tuple[Stage, ...]
Group = tuple[Lane, ...]
HARDWARE: tuple[Group, ...] = (
    ((MODEL, RELAX, GENERATE),),
    ((SIMULATE,), (SYNTHESIZE,)),
    ((TIME,), (PROVE, NETLIST)),
    ((CERTIFY, PINS, CROSS_CHECK, ROUTE, BITSTREAM, DMA, VENDOR),),
)
# C++ is compared as C++; where no HLS tool makes hardware of it, another backend's circuit is measured.
CPLUSPLUS: tuple[Group, ...] = (
    ((MODEL, RELAX, GENERATE, C_SIMULATION, VENDOR, SUBSTITUTE),),
    ((SIMULATE,), (SYNTHESIZE,)),
    ((TIME,), (NETLIST,)),
)


def groups(request: Request) -> tuple[Group, ...]:
    """Return the stages of a build with the request's backend, in the groups that they run in."""
    return CPLUSPLUS if backends.get(request.backend).substitute else HARDWARE


def of(request: Request) -> Iterator[Stage]:
    """Yield the same stages, each after all that it needs."""
    return (stage for group in groups(request) for lane in group for stage in lane)
