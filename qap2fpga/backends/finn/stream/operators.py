# SPDX-License-Identifier: Apache-2.0
"""Our own blocks as QONNX operators, so that a graph of FINN's layers with ours between them can be executed."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from onnx import helper
from qonnx.custom_op.base import CustomOp

DOMAIN = "qap2fpga.backends.finn.stream.operators"


class Own(CustomOp):  # type: ignore[misc]
    """An operator whose attributes are those of the block (see `own`); its first inputs are streams, then constants."""

    def get_nodeattr_types(self) -> dict[str, Any]:
        """Return what attributes there are."""
        return {
            "lanes": ("i", True, 0), "shape": ("ints", True, []), "taps": ("i", False, 1), "mask": ("i", False, 0),
            "offset": ("i", False, 0),
            "factors": ("ints", False, []), "rows": ("i", False, 1), "columns": ("i", False, 1),
            "backend": ("s", False, "qap2fpga"),
        }  # fmt: skip

    def make_shape_compatible_op(self, model: Any) -> Any:
        """Return an operator of the same result."""
        return helper.make_node("RandomNormal", [], [self.onnx_node.output[0]], shape=[1, *self.get_nodeattr("shape")])

    def infer_node_datatype(self, model: Any) -> None:
        """Leave the types as they were written."""

    def verify_node(self) -> list[str]:
        """Return nothing to say."""
        return []

    def execute_node(self, context: dict[str, np.ndarray], graph: Any) -> None:
        """Compute all outputs."""
        values = [context[name] for name in self.onnx_node.input]
        result = self.compute(values).astype(np.float32).reshape(1, *self.get_nodeattr("shape"))
        for name in self.onnx_node.output:
            context[name] = result

    @abstractmethod
    def compute(self, values: list[np.ndarray]) -> np.ndarray:
        """Return the result for `values`."""

    def taps(self, windows: np.ndarray) -> np.ndarray:
        """Return what the kernel sees, in the order of beats, as (positions, folds, taps, lanes)."""
        taps, lanes = self.get_nodeattr("taps"), self.get_nodeattr("lanes")
        return windows.reshape(-1, self.get_nodeattr("shape")[-1] // lanes, taps, lanes)


class Same(Own):
    """The same values, or all with an offset: `qap_fork`, `qap_extend`."""

    def compute(self, values: list[np.ndarray]) -> np.ndarray:
        """Return the values."""
        return np.asarray(values[0] + self.get_nodeattr("offset"))


class Flip(Own):
    """`qap_flip`: all values with the bits of the mask turned."""

    def compute(self, values: list[np.ndarray]) -> np.ndarray:
        """Return the values."""
        return values[0].astype(np.int64) ^ self.get_nodeattr("mask")


class Largest(Own):
    """`qap_pool`."""

    def compute(self, values: list[np.ndarray]) -> np.ndarray:
        """Return the largest of each window."""
        return np.asarray(self.taps(values[0]).max(axis=2))


class Weighted(Own):
    """`qap_dw`."""

    def compute(self, values: list[np.ndarray]) -> np.ndarray:
        """Return the sums of products."""
        windows, weights = values
        seen = self.taps(windows)
        by_fold = weights.reshape(len(weights), -1, seen.shape[-1]).transpose(1, 0, 2)
        return np.asarray((seen * by_fold).sum(axis=2))


class Product(Own):
    """`qap_sparse`."""

    def compute(self, values: list[np.ndarray]) -> np.ndarray:
        """Return the sums of products."""
        windows, weights = values
        return np.asarray(windows.reshape(-1, len(weights)) @ weights)


class Add(Own):
    """`qap_sum`."""

    def compute(self, values: list[np.ndarray]) -> np.ndarray:
        """Return the sum."""
        factors = self.get_nodeattr("factors")
        return np.asarray(sum(value * factor for value, factor in zip(values, factors, strict=True)))


class Join(Own):
    """`qap_concat`."""

    def compute(self, values: list[np.ndarray]) -> np.ndarray:
        """Return the channels side by side."""
        return np.concatenate(values, axis=-1)


class Again(Own):
    """`qap_repeat`."""

    def compute(self, values: list[np.ndarray]) -> np.ndarray:
        """Return the repeated values."""
        rows = values[0].repeat(self.get_nodeattr("rows"), axis=1)
        return rows.repeat(self.get_nodeattr("columns"), axis=2)


# By what QONNX calls the operators: the names of the modules.
custom_op = {
    "qap_extend": Same, "qap_fork": Same, "qap_flip": Flip, "qap_pool": Largest, "qap_dw": Weighted, "qap_sum": Add,
    "qap_concat": Join, "qap_repeat": Again, "qap_sparse": Product,
}  # fmt: skip
