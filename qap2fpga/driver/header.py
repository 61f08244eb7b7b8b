# SPDX-License-Identifier: Apache-2.0
"""The C header of a network for bare metal: formats, packing and scale, from the driver's own constants."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from qap2fpga.driver.constants import Constants
from qap2fpga.driver.layout import Layout
from qap2fpga.system.files import shipped
from qap2fpga.system.names import identifier

TEMPLATE = "network.h.jinja"
# C's functions for the quantizers' roundings.
ROUNDINGS = {"ROUND": "rint", "FLOOR": "floor", "CEIL": "ceil", "ROUND_TO_ZERO": "trunc", "SIGN": ""}


def header(name: str, constants: Constants) -> str:
    """Return the text of `<name>.h` for the constants of a network."""
    quantizer, prefix = constants.quantizer, identifier(name)
    steps = [float(value) for value in quantizer.scale]
    environment = Environment(loader=FileSystemLoader(shipped("flows") / "driver"), undefined=StrictUndefined)
    return environment.get_template(TEMPLATE).render(
        p=prefix, P=prefix.upper(), source=constants.input, frame=constants.frame,
        sink=constants.output, kind=constants.output_kind, quantizer=quantizer,
        rounding=ROUNDINGS[quantizer.rounding],
        output_value=float(constants.output_value).hex(),
        # Hexadecimal floats are exact.
        scale=[value.hex() for value in steps], offset=[float(value).hex() for value in quantizer.offset],
        formats={
            "input": _format(constants.input, steps, quantizer.offset),
            "output": _format(constants.output, [float(constants.output_value)], (0.0,)),
        },
    ) + "\n"  # fmt: skip


def _format(layout: Layout, steps: list[float], offset: Sequence[float]) -> str:
    """The fixed-point format if there is one: where the step is one power of two."""
    if len(steps) > 1 or any(offset) or not log2(steps[0]).is_integer():
        return "no fixed-point format: the scale is not one power of two"
    fraction = -int(log2(steps[0]))
    kind = "fixed" if layout.signed else "ufixed"
    return f"ap_{kind}<{layout.bits}, {layout.bits - fraction}>, that is {fraction} bits after the binary point"
