# SPDX-License-Identifier: Apache-2.0
"""A build under way: what is asked for, what its stages have stored, and digests of what they follow from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from qap2fpga import backends
from qap2fpga.build import amd
from qap2fpga.build.collect import Results
from qap2fpga.build.folder import BuildFolder
from qap2fpga.build.request import Request
from qap2fpga.build.stored import VECTORS, Stored
from qap2fpga.frontend.modelfiles import model_digest
from qap2fpga.hw import boards
from qap2fpga.synth.amd.steps import Plan
from qap2fpga.system import versions as stamps
from qap2fpga.system.files import sha256
from qap2fpga.system.versions import digest

# The fields of `Results` whose stages have other names.
FIELDS = {
    "relax": "relaxed", "generate": "generated", "stand-in": "stand_in", "simulate": "simulated",
    "synthesize": "synthesized", "time": "path", "prove": "proven", "certify": "proof", "route": "routed",
    "cross-check": "cross_check",
}  # fmt: skip


@dataclass
class Run:
    """A build under way: what is asked for, its folder, and what finished stages stored, by the stage's name."""

    request: Request
    folder: BuildFolder
    stored: dict[str, Any] = field(default_factory=dict)

    @property
    def results(self) -> Results:
        """What the stages stored so far, as the report takes it."""
        # A copy: a stage in another thread may store its own just now.
        return Results(**{FIELDS.get(name, name): result for name, result in self.stored.copy().items()})

    @property
    def generated(self) -> Stored:
        """What the backend generated."""
        generated: Stored = self.stored["generate"]
        return generated

    @property
    def circuit(self) -> Stored:
        """The hardware that is simulated and measured."""
        circuit = self.results.circuit
        assert circuit is not None
        return circuit

    @cached_property
    def plan(self) -> Plan | None:
        """What AMD's tools are to do, written down; None: nothing."""
        return amd.plan(self.request, self.generated)

    @property
    def planned(self) -> Plan:
        """The same in stages that run only where there is something to do."""
        assert self.plan is not None
        return self.plan

    @cached_property
    def model_digest(self) -> str:
        """The digest of the model's file."""
        return model_digest(self.request.model)

    @cached_property
    def program_key(self) -> str:
        """A digest of this program and its tools, which every result follows from."""
        return digest(stamps.program_digest(), stamps.versions())

    @cached_property
    def model_key(self) -> str:
        """A digest of all that the network follows from."""
        request = self.request
        return digest(
            self.program_key,
            self.model_digest,
            request.data and sha256(request.data),
            asdict(request.widths),
            request.input_range,
            request.classes,
            request.output_kind == "values",
            request.model_output,
        )

    @cached_property
    def design_key(self) -> str:
        """A digest of all that the hardware follows from."""
        request = self.request
        backend = (request.backend, backends.origin(request.backend))
        return digest(self.model_key, backend, asdict(request.board), asdict(request.options))

    @cached_property
    def circuit_key(self) -> str:
        """A digest of the hardware itself, wherever it stands: its description, and what its files hold."""
        design = self.circuit["design"]
        folder = self.request.output / design["folder"]
        files = {name: sha256(folder / name) for name in (*design["sources"], *design["data"])}
        return digest(self.program_key, self.circuit["backend"], design, files)

    @cached_property
    def reference_key(self) -> str:
        """A digest of what hardware is compared with: the network, the vectors, and what leaves the chip."""
        files = (self.circuit["network"], VECTORS)
        return digest([sha256(self.request.output / name) for name in files], self.request.output_kind)

    @cached_property
    def netlist_key(self) -> str:
        """A digest of the mapped netlist, which is of `circuit_key`'s hardware."""
        return digest([sha256(self.request.output / name) for name in self.stored["synthesize"]["netlist"]])

    @cached_property
    def vendor_key(self) -> str:
        """The same with what AMD's tools are to do. Each step is resumed by what it depends on itself."""
        plan, tools = self.planned, self.planned.tools
        return digest(self.design_key, plan.text, [tool and tool.version for tool in (tools.hls, tools.vivado)])

    @cached_property
    def route_key(self) -> str:
        """The same with the tool that places and routes."""
        from qap2fpga.synth.ecp5 import tool

        return digest(self.design_key, tool.require(tool.PLACER).version)

    @cached_property
    def cross_key(self) -> str:
        """The same with the other device."""
        from qap2fpga.synth.ecp5 import place

        return digest(self.route_key, asdict(boards.load(place.CROSS_CHECK)))
