# SPDX-License-Identifier: Apache-2.0
"""The recipe: which FINN transformations turn the integer QONNX graph into generated RTL, in this order.

After each step the graph is executed and compared with the integer network (see `check`), and saved as
`NN_step.onnx`. `finn.builder`, which drives the same transformations, needs Vivado to be imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finn.transformation.fpgadataflow.convert_to_hw.quantized_matrix_vector_activation import (
    InferQuantizedMatrixVectorActivation,
)
from finn.transformation.fpgadataflow.convert_to_hw.thresholding import InferThresholdingLayer
from finn.transformation.fpgadataflow.create_dataflow_partition import CreateDataflowPartition
from finn.transformation.fpgadataflow.insert_dwc import InsertDWC
from finn.transformation.fpgadataflow.insert_fifo import InsertFIFO
from finn.transformation.fpgadataflow.prepare_ip import PrepareIP
from finn.transformation.fpgadataflow.specialize_layers import SpecializeLayers
from finn.transformation.qonnx.convert_qonnx_to_finn import ConvertQONNXtoFINN
from finn.transformation.streamline import Streamline
from finn.transformation.streamline.round_thresholds import RoundAndClipThresholds
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
from qonnx.transformation.base import Transformation
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames
from qonnx.transformation.infer_data_layouts import InferDataLayouts
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

from qap2fpga.backends.finn import graph
from qap2fpga.backends.finn.estimate import THRESHOLD_BLOCK_RAM_DEPTH
from qap2fpga.backends.finn.plan import Plan, deep_pipeline, elsewhere
from qap2fpga.hw.boards import Board
from qap2fpga.system.errors import QapError

MVAU = "MVAU_rtl"
THRESHOLDING = "Thresholding_rtl"
FIFO = "StreamingFIFO_rtl"
SCRATCH_ATTRIBUTES = ("code_gen_dir_ipgen", "ipgen_path", "ip_path")
DWC = "StreamingDataWidthConverter_rtl"


@dataclass(frozen=True)
class Recipe:
    """What the steps need to know. `folding`: node name -> {'SIMD': .., 'PE': ..}; `fifo_depths`: node name ->
    depth of the FIFO before it; `scratch`: a folder that may go afterwards."""

    plan: Plan
    board: Board
    folding: Mapping[str, Mapping[str, int]]
    fifo_depths: Mapping[str, int]
    scratch: Path


Step = Callable[[ModelWrapper, Recipe], ModelWrapper]


def start(model: ModelWrapper, recipe: Recipe) -> ModelWrapper:
    """The integer QONNX graph as it was written; nothing is done."""
    return model


def to_finn(model: ModelWrapper, recipe: Recipe) -> ModelWrapper:
    """QONNX dialect to FINN dialect."""
    return _apply(model, InferShapes(), ConvertQONNXtoFINN())


def streamline(model: ModelWrapper, recipe: Recipe) -> ModelWrapper:
    """Nothing is left to move, so this shows that the graph is already what FINN streamlines to."""
    return _apply(model, Streamline(), InferDataLayouts(), *_tidy())


def thresholding_layers(model: ModelWrapper, recipe: Recipe) -> ModelWrapper:
    """MultiThreshold to the Thresholding hardware layer, stand-alone: MVAU_rtl has no thresholds inside."""
    return _apply(model, InferThresholdingLayer(), *_tidy())


def matrix_vector_layers(model: ModelWrapper, recipe: Recipe) -> ModelWrapper:
    """MatMul to the MVAU hardware layer, weights in the fabric."""
    model = _apply(model, InferQuantizedMatrixVectorActivation(), *_tidy())
    outside = [node.op_type for node in model.graph.node if not node.domain.startswith("finn")]
    if outside:
        raise QapError(f"FINN left {', '.join(outside)} outside the hardware", "report this network as a bug")
    return model


def widths(model: ModelWrapper, recipe: Recipe) -> ModelWrapper:
    """Accumulators as wide as their reachable range and mvu.sv want, thresholds as wide as the accumulator wants.

    FINN's MinimizeAccumulatorWidth is not used: it goes below the width of a product, which mvu.sv refuses.
    """
    layers = iter(recipe.plan.layers)
    for node in model.get_nodes_by_op_type("MVAU"):
        instance = getCustomOp(node)
        layer = next(layers)
        accumulator = graph.integer_type(layer.accumulator_bits, True)
        instance.set_nodeattr("weightDataType", graph.integer_type(layer.weight_bits, True).name)
        instance.set_nodeattr("accDataType", accumulator.name)
        instance.set_nodeattr("outputDataType", accumulator.name)
        instance.set_nodeattr("mem_mode", "internal_decoupled")
        instance.set_nodeattr("resType", "dsp")
    return _apply(model, InferDataTypes(), RoundAndClipThresholds(), InferDataTypes())


def partition(model: ModelWrapper, recipe: Recipe) -> ModelWrapper:
    """The dataflow part of the graph, which must be all of it."""
    folder = recipe.scratch / "partition"
    folder.mkdir(exist_ok=True)
    parent = _apply(model, CreateDataflowPartition(partition_model_dir=str(folder)))
    kinds = [node.op_type for node in parent.graph.node]
    if kinds != ["StreamingDataflowPartition"]:
        raise QapError(f"FINN splits this network into {', '.join(kinds)}", "report this network as a bug")
    return ModelWrapper(getCustomOp(parent.graph.node[0]).get_nodeattr("model"))


def specialize(model: ModelWrapper, recipe: Recipe) -> ModelWrapper:
    """Every layer to FINN's RTL; one that would become HLS stops the build, since HLS needs Vitis."""
    model = _specialize(model, recipe)
    for node in model.get_nodes_by_op_type(THRESHOLDING):
        getCustomOp(node).minimize_weight_bit_width(model)
    return model


def fold(model: ModelWrapper, recipe: Recipe) -> ModelWrapper:
    """SIMD and PE of every node."""
    for node in model.graph.node:
        instance = getCustomOp(node)
        for key, value in recipe.folding[node.name].items():
            instance.set_nodeattr(key, value)
        if node.op_type == THRESHOLDING:
            instance.set_nodeattr("deep_pipeline", int(deep_pipeline(recipe.board)))
            instance.set_nodeattr("depth_trigger_bram", THRESHOLD_BLOCK_RAM_DEPTH)
    return model


def width_converters(model: ModelWrapper, recipe: Recipe) -> ModelWrapper:
    """Between neighbours whose beats differ."""
    return _specialize(_apply(model, InsertDWC()), recipe)


def fifos(model: ModelWrapper, recipe: Recipe) -> ModelWrapper:
    """Insert FIFOs before the nodes that stall while they replay a frame, deep enough to hold the next one."""
    for node in model.graph.node:
        instance = getCustomOp(node)
        depth = recipe.fifo_depths.get(node.name, 0)
        instance.set_nodeattr("inFIFODepths", [depth] * len(instance.get_nodeattr("inFIFODepths")))
        instance.set_nodeattr("outFIFODepths", [0])
    return _specialize(_apply(model, InsertFIFO(ram_style="distributed")), recipe)


def generate_rtl(model: ModelWrapper, recipe: Recipe) -> ModelWrapper:
    """The nodes' Verilog and memory contents, into FINN's scratch folder."""
    return _apply(model, PrepareIP(recipe.board.part, recipe.board.clock_ns))


STEPS: tuple[tuple[str, Step], ...] = (
    ("to_finn", to_finn),
    ("streamline", streamline),
    ("thresholding_layers", thresholding_layers),
    ("matrix_vector_layers", matrix_vector_layers),
    ("widths", widths),
    ("partition", partition),
    ("specialize", specialize),
    ("fold", fold),
    ("width_converters", width_converters),
    ("fifos", fifos),
    ("generate_rtl", generate_rtl),
)


def _specialize(model: ModelWrapper, recipe: Recipe) -> ModelWrapper:
    for node in model.graph.node:
        if node.domain.endswith("fpgadataflow"):
            getCustomOp(node).set_nodeattr("preferred_impl_style", "rtl")
    model = _apply(model, SpecializeLayers(recipe.board.part), *_tidy())
    for node in model.graph.node:
        if not node.op_type.endswith("_rtl"):
            raise QapError(f"{node.name}: FINN has no RTL for this node here, only {node.op_type}", _reason(node))
    return model


def _reason(node: Any) -> str:
    if not node.op_type.startswith("MVAU"):
        return elsewhere("HLS needs Vitis: report this network as a bug")
    instance = getCustomOp(node)
    kinds = [str(instance.get_input_datatype(index).name) for index in (0, 1)]
    return (
        f"MVAU_rtl takes signed narrow-range weights and activations of 2 bits or more that fit the DSP; here "
        f"activations are {kinds[0]}, weights {kinds[1]}, accumulators {instance.get_output_datatype().name}"
    )


def portable(model: ModelWrapper) -> bytes:
    """The graph as bytes that are the same every time: without the folders of random name FINN notes in it."""
    copy = ModelWrapper(model.model, make_deepcopy=True)
    for node in copy.graph.node:
        kept = [item for item in node.attribute if item.name not in SCRATCH_ATTRIBUTES]
        del node.attribute[:]
        node.attribute.extend(sorted(kept, key=lambda item: item.name))
    del copy.model.metadata_props[:]
    content: bytes = copy.model.SerializeToString(deterministic=True)
    return content


def _tidy() -> tuple[Transformation, ...]:
    return (GiveUniqueNodeNames(), GiveReadableTensorNames(), InferShapes(), InferDataTypes())


def _apply(model: ModelWrapper, *transformations: Transformation) -> ModelWrapper:
    for transformation in transformations:
        model = model.transform(transformation)
    return model
