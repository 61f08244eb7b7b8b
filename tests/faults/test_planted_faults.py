# SPDX-License-Identifier: Apache-2.0
"""Hardware that is not what the network says: real synthesis of planted faults, against the shipped calibration."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from qap2fpga import backends
from qap2fpga.build import making
from qap2fpga.estimate import draw
from qap2fpga.hw import boards
from qap2fpga.hw.design import Design, Stage
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.units import Unit
from qap2fpga.report import check
from qap2fpga.report.schema.results import Check
from qap2fpga.synth import yosys
from tests.support.reports import finished, read

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("planted")]

BOARD = boards.load("pynq-z2")
RECIPE = draw.Recipe(
    seed=11, kind="network", widths=(16, 24, 16, 5), input_bits=6, weight_bits=(5, 5, 5), activation_bits=(5, 5, 5),
    density=(0.2, 0.2, 0.2), power_of_two=False, step_end=False, family="xc7", clock_ns=10.0, interval=16,
)  # fmt: skip


def generated(network: Graph, folder: Path, backend: str = "rtl", clock: float = 10.0) -> Design:
    result = backends.get(backend)
    options = {"clock": clock} if backend == "rtl" else {"target_fps": 1e9 / (16 * 10)}
    options = result.make_options(allow_oversize=True, **options)
    return result.generate(network, BOARD, folder, options, np.zeros((1, network.inputs), np.int64))


def measured(design: Design, folder: Path) -> dict[str, Any]:
    return asdict(yosys.synthesize(design, BOARD, folder))


def verdicts(prediction: dict[str, Any], measurement: dict[str, Any], backend: str) -> dict[str, Check]:
    """The checks of resources, by name, as a report with this prediction and this measurement has them."""
    report = read(finished() | {"predictions": [prediction], "measurements": [{"circuit": backend, **measurement}]})
    return {one.name: one for one in [*check._resources(report), *check._dsp(report)]}


class Right(NamedTuple):
    """A network, its design, what is predicted of it, and what Yosys makes of it."""

    backend: str
    network: Graph
    design: Design
    prediction: dict[str, Any]
    measurement: dict[str, Any]


def predicted(backend: str, folder: Path) -> Right:
    network = draw.network(RECIPE)
    design = generated(network, folder / "design", backend)
    stored = making.predicted(design, network, BOARD)
    assert stored["calibrated"], f"qap2fpga calibrate --backend {backend} --confirm, or afresh"
    prediction = {"circuit": backend, "what": "resources", "stage": "estimate", "of_stage": "synthesis", **stored}
    return Right(backend, network, design, prediction, measured(design, folder / "yosys"))


@pytest.fixture(scope="module")
def unrolled(tmp_path_factory) -> Right:
    return predicted("rtl", tmp_path_factory.mktemp("rtl"))


@pytest.fixture(scope="module")
def folded(tmp_path_factory) -> Right:
    return predicted("finn", tmp_path_factory.mktemp("finn"))


@pytest.fixture(params=["unrolled", "folded"])
def right(request) -> Right:
    return request.getfixturevalue(request.param)


def test_the_right_hardware_passes(right):
    result = verdicts(right.prediction, right.measurement, right.backend)
    assert set(result) == {"LUT as predicted", "FF as predicted", "BRAM18 as predicted", "DSP blocks"}
    assert [one for one in result.values() if not one.passed] == []


def changed(network: Graph, chosen: set[int], change) -> Graph:
    """`network` with other weights in the layers `chosen`; thresholds stay, so ranges do not matter here."""
    layers = [
        one.changed(weights=change(one, np.random.default_rng(number))) if number in chosen else one
        for number, one in enumerate(network.layers)
    ]
    return network.with_layers(tuple(layers))


def dense(layer: Unit, random: np.random.Generator) -> np.ndarray:
    """The weights as they are where the mask is not applied."""
    kept = layer.weights[layer.weights != 0]
    return np.where(layer.weights != 0, layer.weights, random.choice(kept, layer.weights.shape))


def test_an_ignored_mask(unrolled, tmp_path):
    faulty = generated(changed(unrolled.network, {0, 1, 2}, dense), tmp_path / "design")
    one = verdicts(unrolled.prediction, measured(faulty, tmp_path / "yosys"), "rtl")["LUT as predicted"]
    assert not one.passed and "pruned weights came back" in one.why


def test_one_layer_is_dense(unrolled, tmp_path):
    faulty = generated(changed(unrolled.network, {1}, dense), tmp_path / "design")
    one = verdicts(unrolled.prediction, measured(faulty, tmp_path / "yosys"), "rtl")["LUT as predicted"]
    name = unrolled.design.nodes[1].name
    assert not one.passed and "one layer was synthesised dense" in one.why and name in one.why


def test_wider_weights(unrolled, tmp_path):
    """Weights of 8 bits where the network says 5."""

    def wider(layer: Unit, random: np.random.Generator) -> np.ndarray:
        return np.where(layer.weights != 0, 8 * layer.weights + random.choice([-3, -1, 1, 3], layer.weights.shape), 0)

    faulty = generated(changed(unrolled.network, {0, 1, 2}, wider), tmp_path / "design")
    one = verdicts(unrolled.prediction, measured(faulty, tmp_path / "yosys"), "rtl")["LUT as predicted"]
    assert not one.passed and "bits are wider than stated" in one.why


def test_twice_the_pipeline(unrolled, tmp_path):
    """Cut for a clock twice as fast: more registers, and the latency that simulation measures is another."""
    design = unrolled.design
    faulty = generated(unrolled.network, tmp_path / "design", clock=4.0)
    assert faulty.latency_cycles > 1.5 * design.latency_cycles
    one = verdicts(unrolled.prediction, measured(faulty, tmp_path / "yosys"), "rtl")["FF as predicted"]
    assert not one.passed and "more pipeline stages" in one.why
    report = finished() | {"predictions": [unrolled.prediction]}
    report["timing"]["latency_cycles"] = {"predicted": design.latency_cycles, "measured": faulty.latency_cycles}
    results = {one.name: one for one in check._cycles(read(report))}
    assert results["initiation interval"].passed and not results["latency"].passed


def test_multipliers_in_dsp_blocks(unrolled, tmp_path):
    faulty = generated(unrolled.network, tmp_path / "design")
    source = faulty.folder / faulty.sources[0]
    text = source.read_text()
    start = text.index("  wire [", text.index(");\n"))
    block = "  wire [47:0] planted;\n  DSP48E1 u_planted (.CLK(ap_clk), .A({24'd0, x[5:0]}), .P(planted));\n"
    text = (text[:start] + block + text[start:]).replace("  assign y = {", "  assign y = {planted[0] ^ ", 1)
    source.write_text(text)
    one = verdicts(unrolled.prediction, measured(faulty, tmp_path / "yosys"), "rtl")["DSP blocks"]
    assert (one.passed, one.expected, one.found) == (False, "0", "1") and one.why


def test_a_report_of_another_design(right, tmp_path):
    other = draw.network(replace(RECIPE, seed=12, widths=(16, 8, 5), density=(0.2, 0.2), weight_bits=(3, 3)))
    faulty = generated(other, tmp_path / "design", right.backend)
    one = verdicts(right.prediction, measured(faulty, tmp_path / "yosys"), right.backend)["LUT as predicted"]
    assert not one.passed and "report is of another design" in one.why


def test_numbers_of_c_synthesis_are_not_passed_as_synthesis(right):
    claimed = right.measurement | {"stage": str(Stage.HLS)}
    one = verdicts(right.prediction, claimed, right.backend)["LUT, FF as predicted"]
    assert not one.passed and "never compared with" in one.why
