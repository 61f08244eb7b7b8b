# SPDX-License-Identifier: Apache-2.0
"""A network that was read from a model file: the integers that all hardware made of it computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from qap2fpga.frontend.facts import Facts
from qap2fpga.frontend.labels import class_numbers
from qap2fpga.frontend.source import Source
from qap2fpga.ir import described
from qap2fpga.ir.bops import Bops
from qap2fpga.ir.comparison import Simulation
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.tensors import Shape
from qap2fpga.library import remembered, sources
from qap2fpga.library.profiles import Profile, profile_of
from qap2fpga.library.sources import Bits, Interval
from qap2fpga.library.table import Table, Tabular, Value, of_dicts
from qap2fpga.report import show
from qap2fpga.system.errors import QapError
from qap2fpga.system.progress import Progress

if TYPE_CHECKING:
    import pandas

    from qap2fpga.library.similarity import Similarity

__all__ = ["Network", "load"]


@dataclass(frozen=True, eq=False, repr=False)
class Network(Tabular):
    """The integer network of a model file, which is the reference of all hardware; `load` gives one.

    Attributes:
        source: the file and what was said of it; `build` and `estimate` take it from here.
        graph: the compacted graph of integer nodes, which hardware is made of.
        lowered: the graph node for node as the model has it; its outputs are the same.
        facts: what the report says of the model: layers, bit operations, accuracy, notes.
        comparisons: what the integers were compared with, and on how many vectors; nothing was different.
    """

    source: Source
    graph: Graph
    lowered: Graph
    facts: Facts
    comparisons: tuple[Simulation, ...]

    @property
    def inputs(self) -> int:
        """Values of a row of inputs."""
        return self.graph.inputs

    @property
    def outputs(self) -> int:
        """Values of a row of outputs."""
        return self.graph.outputs

    @property
    def output_scale(self) -> float:
        """What one step of an output integer is worth in the model's own units."""
        return float(self.graph.output_scale)

    @property
    def notes(self) -> tuple[str, ...]:
        """What reading and compaction did, and what to look at, for people."""
        return self.facts.notes

    @property
    def weights(self) -> int:
        """Weights of the model, zero or not."""
        return sum(layer.weights for layer in self.facts.network.layers)

    @property
    def sparsity(self) -> float:
        """Share of the weights that are zero as integers, 0 to 1."""
        return sum(layer.zeros for layer in self.facts.network.layers) / max(self.weights, 1)

    def run(self, X: ArrayLike, *, quantized: bool = False) -> np.ndarray:
        """Return the output integers that hardware must give.

        Args:
            X: rows of real inputs (n, inputs), or (n, ...) in the shape that the model takes; any array.
            quantized: `X` are integers of the input quantizer already.

        Returns:
            (n, outputs) int64. Times `output_scale` they are the model's outputs; the largest is the class.

        Raises:
            QapError: `X` has another shape, or values that are no finite numbers.
        """
        return self.graph.run(self._integers(X, quantized))

    def trace(self, X: ArrayLike, *, quantized: bool = False) -> dict[str, np.ndarray]:
        """Return the integers of every node, by the node's name, for rows `X` as `run` takes them.

        Returns:
            For each node of `nodes` its result: (n, channels), or (n, height, width, channels) of images and signals.

        Raises:
            QapError: as `run`.
        """
        shapes = self.lowered.shapes
        results = self.lowered.trace(self._integers(X, quantized))
        return {_shown(name): _frames(values, shapes[name]) for name, values in results.items()}

    def profile(self, X: ArrayLike, *, quantized: bool = False) -> Profile:
        """Return how weights, sums and levels of every node are spread over their ranges for rows `X`.

        Its `notes` name what saturates, what hardly moves, and levels that are never used.

        Raises:
            QapError: as `run`.
        """
        from qap2fpga.ir.profile import profile

        return profile_of(profile(self.lowered, self._integers(X, quantized), "given"))

    def similarity(self, other: Network, X: ArrayLike, *, quantized: bool = False) -> Similarity:
        """Return how alike the layers of this and another network are in what they see of rows `X`: SVCCA, 0 to 1.

        The other network takes the same rows: one that was pruned further, or has other bits or layers.

        Raises:
            QapError: as `run`, for either network; or `X` has too few rows to tell a correlation from chance.
        """
        from qap2fpga.library.similarity import similarity

        return similarity(self, other, tuple(one.trace(X, quantized=quantized) for one in (self, other)))

    def bops(self) -> Bops:
        """Return the bit operations of one frame in the variants that are in use.

        `paper` is equation 1 of Hawks et al. 2021 ("Ps and Qs", arXiv:2102.11289) with weights as integers and the
        real input width; `nonzero_products` is the sum of the products of bits over weights that are not zero.
        """
        return self.facts.network.bops

    @property
    def nodes(self) -> Table:
        """The nodes as the model has them, in order: what each does, to which, extents, bits, weights, zeros, BOPs.

        `bits` are those of the node's result. Weights, zeros and BOPs are known of nodes with weights.
        """
        layers = {layer.name: layer for layer in self.facts.network.layers}
        rows: list[dict[str, Value]] = []
        for node in described.nodes(self.lowered):
            row: dict[str, Value] = {
                "name": _shown(node.name), "kind": node.kind, "what": node.what,
                "takes": ", ".join(map(_shown, node.sources)),
                "height": node.height, "width": node.width, "channels": node.channels, "bits": node.bits,
                "signed": node.signed,
            }  # fmt: skip
            if (layer := layers.get(node.name)) is not None:
                row |= {"weight_bits": layer.weight_bits, "weights": layer.weights, "zeros": layer.zeros,
                        "bops": layer.bops.paper}  # fmt: skip
            rows.append(row)
        return of_dicts(rows)

    def accuracy(self, X: ArrayLike, y: ArrayLike, *, quantized: bool = False) -> float:
        """Return the share of rows, 0 to 1, whose largest output is the right one.

        Args:
            X: rows as `run` takes them.
            y: (n,) class numbers from 0, or (n, outputs) one-hot rows or probabilities.
            quantized: as for `run`.

        Raises:
            QapError: the network has one output, or `y` are no classes of its outputs, one for each row.
        """
        if self.outputs == 1:
            raise QapError("the network has one output, so no output is the largest", "compare the outputs of run(X)")
        labels = class_numbers(np.asarray(y))
        if labels is None or not len(labels) or labels.max() >= self.outputs:
            raise QapError("y does not hold the number of one output per row", "classes are numbered 0, 1, 2, ...")
        results = self.run(X, quantized=quantized)
        if len(labels) != len(results):
            raise QapError(f"y has {len(labels)} rows, X {len(results)}", "give one class per row")
        return float((results.argmax(axis=1) == labels).mean())

    @property
    def heading(self) -> str:
        """Return the network in one line."""
        return (
            f"{self.facts.file}: {show.several(self.inputs, 'input')}, {show.several(self.outputs, 'output')}, "
            f"{show.several(len(self.facts.network.layers), 'layer')}, {self.weights:,} weights of which "
            f"{self.sparsity:.1%} zero, {self.bops().paper:,.0f} BOPs"
        )

    @property
    def table(self) -> Table:
        """The nodes."""
        return self.nodes

    def to_pandas(self) -> pandas.DataFrame:
        """Return `nodes` as a pandas data frame. Raises `QapError` where pandas is not installed."""
        return super().to_pandas()

    def _integers(self, X: ArrayLike, quantized: bool) -> np.ndarray:
        return sources.integers(self.graph, self.facts.network.frame, X, quantized=quantized)


def load(
    path: str | Path,
    *,
    bits: int | None = None,
    weight_bits: Bits = None,
    activation_bits: Bits = None,
    input_bits: int | None = None,
    input_data: str | Path | None = None,
    input_range: Interval | None = None,
    classes: Sequence[str] = (),
    output_kind: str = "logits",
    model_output: str = "",
    compare: bool = True,
    quiet: bool = False,
) -> Network:
    """Read a model file and return its integer network, compared with torch and QONNX.

    Args:
        path: a `model.pt` of `qap2fpga.save`, a Brevitas state dict (`.pth`), or QONNX, QCDQ or FINN ONNX (`.onnx`).
        bits: weight and activation bits, where the file does not say them.
        weight_bits: one number, or one per layer, instead of `bits`.
        activation_bits: the same of activations.
        input_bits: bits of the input quantizer that is put before a model without one; 8 if not given.
        input_data: an `.npz` with X (rows, inputs), optionally y and classes; or an `.npy`.
        input_range: (low, high) of the inputs of a model without input quantizer, where there are no data.
        classes: names of the outputs in order, to match those in the data.
        output_kind: what leaves the chip: 'logits', 'values' of a regression, 'class' or 'accumulators'.
        model_output: output, tensor or node of an .onnx file that leaves the chip; all its outputs if not given.
        compare: also run torch and QONNX, and compare every layer; False takes less time and says less.
        quiet: show nothing while it runs.

    Raises:
        QapError: the file or an argument cannot be used; the hint says what to do. Hints call an argument as the
            command line does: `--input-range` is `input_range`.
        CheckFailed: the integers and a float execution differ.
    """
    chosen = sources.widths(bits, weight_bits, activation_bits, input_bits)
    wanted = sources.source(path, chosen, input_data, input_range, classes, output_kind, model_output, compare=compare)
    return read(wanted, quiet=quiet)


def read(source: Source, *, quiet: bool) -> Network:
    """Return the network of `source`, as it was read before where it was."""
    title = f"read {source.path.name}"
    with Progress(quiet=quiet) as progress:
        memory = remembered.memory(source)
        parts = None if memory is None else memory.take()
        if parts is not None:
            progress.reused(title, "as it was read before")
        else:
            # So that what was read before needs no torch.
            from qap2fpga.frontend.prepare import prepare

            with progress.stage(title) as say:
                prepared = prepare(source, say)
            parts = remembered.Parts(prepared.network, prepared.lowered, prepared.facts, prepared.simulations)
            if memory is not None:
                memory.keep(parts)
    return Network(source, parts.graph, parts.lowered, parts.facts, parts.comparisons)


def _shown(name: str) -> str:
    """The name of a node as people know it; the input's ends in a slash."""
    return name.removesuffix("/")


def _frames(values: np.ndarray, shape: Shape) -> np.ndarray:
    return values if shape.positions == 1 else values.reshape(len(values), shape.height, shape.width, shape.channels)
