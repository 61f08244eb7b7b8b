# SPDX-License-Identifier: Apache-2.0
"""What zeros saved in layers that are multiplied without them, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qap2fpga.report import show
from qap2fpga.report.parts import design_of
from qap2fpga.report.schema import Report

HEADS = ("products", "not zero", "slots", "multipliers", "efficiency", "saved")
MEANING = (
    "Of each window or vector: products of the dense layer and those that are not zero, cycles and multipliers that "
    "these take, the part of cycles times multipliers that is used, and how many multipliers of a dense layer are "
    "saved at the same cycles"
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One layer: a number, as it is shown, for each of `HEADS`."""

    layer: str
    cells: tuple[str, ...]


def rows(report: Report) -> Iterator[Row]:
    """Return a row for each layer that is multiplied without its zeros."""
    design = design_of(report)
    for node in design.nodes if design is not None else ():
        if not (node.products and node.nonzeros is not None and node.slots and node.multipliers):
            continue
        numbers = (node.products, node.nonzeros, node.slots, node.multipliers)
        efficiency = node.nonzeros / (node.slots * node.multipliers)
        saved = 1 - node.multipliers * node.slots / node.products
        parts = (show.percent(one, 0) for one in (efficiency, saved))
        yield Row(node.layer or node.name, (*map(show.number, numbers), *parts))
