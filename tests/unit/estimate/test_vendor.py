# SPDX-License-Identifier: Apache-2.0
"""Predictions of C synthesis: which layers have one, what makes it wide, and what has none."""

from __future__ import annotations

import io
import json
import math
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from qap2fpga.backends.hls4ml.backend import Hls4mlBackend
from qap2fpga.backends.hls4ml.counts import KernelEstimate
from qap2fpga.backends.hls4ml.options import UNROLLED, Hls4mlOptions
from qap2fpga.estimate import vendor
from qap2fpga.estimate.estimate import estimate
from qap2fpga.estimate.features import of_network
from qap2fpga.estimate.prediction import Interval
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.frontend.prepare import Source, prepare
from qap2fpga.hw import boards
from qap2fpga.hw.design import Stage
from qap2fpga.hw.resources import NAMES
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph, chain
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.units import dense
from qap2fpga.report import estimates as table
from qap2fpga.report import show
from qap2fpga.system.codec import encode
from qap2fpga.system.errors import QapError
from tests.support.command import run, save

U250 = boards.load("alveo-u250")
ERRORS = {"latency": {"designs": 27, "shapes": 3, "mean_error_percent": 6.8, "largest_error_percent": 31.1}}
FITTED = {
    "lut": {"coefficients": {"products_near_4_bits": 10.0, "inputs": 5.0}, "interval": 0.5,
            "cross_validation": {"interval_widened_by": 1.5, "by_strategy": ERRORS}},
    "dsp": {"coefficients": {"products_near_8_bits": 0.5}, "interval": 0.25,
            "cross_validation": {"interval_widened_by": 1.0, "by_strategy": ERRORS}},
}  # fmt: skip
CONTENT = {
    "schema": vendor.SCHEMA,
    "fits": [{
        "strategies": ["latency", "resource"], "designs": 35, "family": "xcup",
        "always": {"bram18": 0.0}, "resources": FITTED,
        "range": {"inputs": [32, 96], "outputs": [32, 96], "weight_bits": [2, 14], "reuse_factor": [1, 1],
                  "products": [1024, 3072], "input_bits": [16, 16], "clock_ns": [5.0, 5.0]},
    }],
    "observed": [
        {"of": "FF", "to": "BOPs", "kind": "layers", "n": 27, "independent_designs": 27, "least": 0.1, "median": 0.2,
         "most": 0.3, "strategy": "latency", "shared": False},
        {"of": "LUT of a network", "to": "LUT of its layers", "kind": "networks", "n": 15, "independent_designs": 9,
         "least": 1.1, "median": 1.2, "most": 1.5, "network": "lut"},
        {"of": "C synthesis LUT", "to": "Vivado LUT", "kind": "pairs", "n": 3, "independent_designs": 3, "least": 2.0,
         "median": 3.0, "most": 4.0, "stages": True},
        {"of": "other", "to": "Vivado LUT", "kind": "FINN designs", "n": 4, "independent_designs": 1, "least": 2.0,
         "median": 3.0, "most": 4.0, "flow": "finn"},
    ],
}  # fmt: skip
# An unpruned layer of 32 x 32 weights of 4 bits, as it was measured: 10 * 1024 + 5 * 32 LUTs.
NODE = KernelEstimate(
    name="dense0", layer="fc1", kind="Dense", estimate={}, strategy="latency", reuse_factor=1, inputs=32, outputs=32,
    weight_bits=4, input_bits=16, nonzeros=1024,
)  # fmt: skip
LUT = 10 * 1024 + 5 * 32


@pytest.fixture
def content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor, "load", lambda: CONTENT)


def layer(changes: dict[str, Any], family: str = "xcup", clock_ns: float = 5.0) -> vendor.LayerPrediction:
    return vendor.predict([replace(NODE, **changes)], family, clock_ns).layers[0]


@pytest.mark.usefixtures("content")
def test_a_convolution_is_like_no_measured_layer_and_a_network_with_one_like_no_measured_network():
    conv = replace(NODE, name="conv0", layer="c1", kind="Conv2D")
    found = vendor.predict([conv, NODE], "xcup", 5.0)
    first, second = found.layers
    assert not first.predictions and not first.calibrated and second.predictions and second.calibrated
    assert set(first.missing.values()) == {"no layer of the kind Conv2D is among the measured designs"}
    assert not found.total and not found.observed and vendor.predict([NODE], "xcup", 5.0).observed


@pytest.mark.usefixtures("content")
def test_a_layer_like_the_measured_ones_has_the_fit_and_its_interval():
    result = layer({})
    assert result.calibrated and result.outside == ()
    lut = result.predictions["lut"]
    assert lut.value == LUT
    assert (lut.low + 1) * math.exp(0.5) == pytest.approx(LUT + 1) == pytest.approx((lut.high + 1) / math.exp(0.5))
    assert result.predictions["dsp"] == Interval(0.0, 0.0, math.exp(0.25) - 1)
    assert result.predictions["bram18"] == Interval(0.0, 0.0, 0.0)
    assert result.missing == {"ff": "27 designs measured with strategy 'latency', reuse factor 1, 30 are needed"}


@pytest.mark.usefixtures("content")
@pytest.mark.parametrize(
    ("changes", "said", "scale"),
    [
        ({"nonzeros": 895}, "13 % zeros, pruned layers are not among the measured designs", 895 / 1024),
        ({"nonzeros": 204}, "80 % zeros, pruned layers are not among the measured designs", 204 / 1024),
        ({"input_bits": 6}, "input bits 6, measured 16", 6 / 16),
        ({"input_bits": 24}, "input bits 24, measured 16", 24 / 16),
        ({"weight_bits": 1}, "weight bits 1, measured 2 to 14", 1),
    ],
)
def test_one_thing_that_is_unlike_is_said_and_widens(changes, said, scale):
    result = layer(changes)
    assert result.outside == (said,) and not result.calibrated
    lut = result.predictions["lut"]
    # A quantile's interval three times as wide, as in other calibrations: 0.5 is 1.5 times the quantile.
    spread = math.exp(3 * 0.5 / 1.5)
    assert lut.low == pytest.approx(((lut.value + 1) / spread - 1) * min(1, scale))
    assert lut.high == pytest.approx(((lut.value + 1) * spread - 1) * max(1, scale))
    assert lut.outside == (said,)
    assert result.missing["bram18"] == "0 in all measured layers, which this one is unlike"


@pytest.mark.usefixtures("content")
@pytest.mark.parametrize(("bits", "zeros"), [(2, 512), (4, 128), (10, 2)])
def test_zeros_that_random_weights_have_are_no_pruning(bits, zeros):
    """One weight of 2^bits is 0 by chance; twice as many may be."""
    assert layer({"weight_bits": bits, "nonzeros": 1024 - zeros}).calibrated
    assert not layer({"weight_bits": bits, "nonzeros": 1024 - zeros - 1}).calibrated


@pytest.mark.usefixtures("content")
def test_the_value_is_never_scaled_by_what_was_pruned():
    assert layer({"nonzeros": 10}).predictions["lut"].value == LUT


@pytest.mark.usefixtures("content")
def test_another_clock_or_device_is_another_measurement():
    assert layer({}, family="xc7").outside == ("device family xc7, measured xcup",)
    assert layer({}, clock_ns=4.0).outside == ("clock ns 4, measured 5",)


@pytest.mark.usefixtures("content")
@pytest.mark.parametrize(
    ("strategy", "factor", "why"),
    [
        ("latency", 4, "0 designs measured with strategy 'latency', reuse factor above 1, 30 are needed"),
        (UNROLLED, 4, "0 designs measured with strategy 'resource_unrolled', reuse factor above 1, 30 are needed"),
        ("distributed_arithmetic", 1,
         "0 designs measured with strategy 'distributed_arithmetic', reuse factor 1, 30 are needed"),
    ],
)  # fmt: skip
def test_what_was_not_measured_is_not_predicted(strategy, factor, why):
    prediction = vendor.predict([replace(NODE, strategy=strategy, reuse_factor=factor)], "xcup", 5.0)
    assert prediction.total == {} and prediction.layers[0].predictions == {} and prediction.errors == ()
    assert prediction.layers[0].missing == dict.fromkeys(NAMES, why)
    assert not prediction.layers[0].calibrated


@pytest.mark.usefixtures("content")
def test_a_network_is_the_sum_of_its_layers_and_never_calibrated():
    prediction = vendor.predict([NODE, replace(NODE, name="dense1", layer="fc2")], "xcup", 5.0)
    one, lut = prediction.layers[0].predictions["lut"], prediction.total["lut"]
    assert lut.value == 2 * LUT
    assert (lut.low, lut.high) == (pytest.approx(2 * one.low * 1.1), pytest.approx(2 * one.high * 1.5))
    assert lut.outside == ("whole networks: 9 measured, 30 are needed",)
    assert "ff" not in prediction.total
    assert prediction.calibrated is False
    assert prediction.errors == tuple(
        f"{name} of layers of strategy 'latency' whose shape was not fitted: mean error 6.8 %, largest 31.1 %, 27 "
        "designs of 3 shapes; fitted to 35 designs of strategies latency and resource" for name in ("LUT", "DSP")
    )  # fmt: skip
    assert prediction.observed == (
        "observed only, of layers: FF / BOPs 0.1 to 0.3 (n = 27)",
        "observed only, of networks: LUT of a network / LUT of its layers 1.1 to 1.5 (n = 9)",
        "observed only, of pairs: C synthesis LUT / Vivado LUT 2 to 4 (n = 3)",
    )


@pytest.mark.usefixtures("content")
def test_one_layer_without_a_prediction_leaves_the_sum_without_one():
    prediction = vendor.predict([NODE, replace(NODE, reuse_factor=4)], "xcup", 5.0)
    assert prediction.total == {} and prediction.layers[0].calibrated


def network(input_bits: int = 16, zeros: int = 0) -> Graph:
    """One layer of 32 x 32 weights of 4 bits, `zeros` of them pruned."""
    weights = np.resize(np.array([-7, 7, 5, -3, 1]), (32, 32))
    weights.flat[:zeros] = 0
    step = Step(np.tile(np.array([-5, 5]), (32, 1)))
    first = dense("fc1", weights, step, weight_bits=4, input_bits=input_bits)
    return chain((first,), signed(input_bits), Fraction(1))


def signed(bits: int) -> InputQuantizer:
    return InputQuantizer(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, (1.0,))


def test_what_the_backend_expects_of_a_network():
    result = Hls4mlBackend().expect(network(zeros=3), U250, Hls4mlOptions())
    assert (result.interval_cycles, result.latency_cycles, result.total) == (1, None, {})
    assert result.nodes == (replace(NODE, nonzeros=1021),)
    big = dense("big", np.ones((300, 100), np.int64), Step(np.zeros((100, 1), np.int64)), 2, 4)
    with pytest.raises(QapError, match="too many to unroll"):
        Hls4mlBackend().expect(chain((big,), signed(4), Fraction(1)), U250, Hls4mlOptions())


def test_an_unpruned_layer_has_a_shipped_prediction_and_a_board_no_verdict():
    estimated = estimate(network(), "hls4ml", U250, Hls4mlOptions())
    assert estimated.of_stage == Stage.HLS and estimated.fits is None and not estimated.calibrated
    assert estimated.csynth is not None and estimated.csynth.layers[0].calibrated
    lut = estimated.predictions["lut"]
    assert 0.3 < lut.low / lut.value < 1 < lut.high / lut.value < 3
    assert estimated.predictions["interval_cycles"].value == 1 and "ff" not in estimated.predictions
    stored = encode(estimated.record)
    assert stored["of_stage"] == "hls" and stored["csynth"]["layers"][0]["calibrated"]
    pruned = estimate(network(zeros=900), "hls4ml", U250, Hls4mlOptions()).predictions["lut"]
    assert pruned.value == lut.value and pruned.low < lut.low / 4 and pruned.high > lut.high


def test_the_table_gives_ends_alone_where_the_layer_is_unlike():
    console = Console(file=io.StringIO(), width=250)
    results = [estimate(one, "hls4ml", U250, Hls4mlOptions()) for one in (network(), network(zeros=900))]
    console.print(table.render(results))
    text = console.file.getvalue()
    like, unlike = (one.csynth.layers[0].predictions["lut"] for one in results)
    assert f"{like.value:,.0f} ({show.ends(like.low, like.high)})" in text
    assert f" {show.ends(unlike.low, unlike.high)} " in text and f"({show.ends(unlike.low, unlike.high)}" not in text
    assert (
        "synthesis finds fewer LUTs" in text and "n = 27" in text and "C synthesis LUT / Vivado synthesis LUT" in text
    )
    heading, rows = text.split("fits", 1)
    assert "LUT" in heading and "fits" not in rows.replace("sum of the fits", "")


def test_a_file_of_another_version_is_refused(monkeypatch, tmp_path):
    (tmp_path / "hls4ml").mkdir()
    (tmp_path / "hls4ml" / "calibration.yaml").write_text("schema: vendor 1\n")
    monkeypatch.setattr(vendor, "shipped", lambda name: tmp_path)
    vendor.load.cache_clear()
    with pytest.raises(QapError, match="not a calibration of this version"):
        vendor.load()
    vendor.load.cache_clear()


# Jet taggers of hls4ml's tutorial, 16-64-32-32-5, unpruned with 16-bit weights, and with 6-bit ones and a quarter of
# them left; in the order of the layers LUTs of each, read by eye from the reports.
TAGGERS = {
    "unpruned": (16, 1.0, (16, 16, 16, 16), "xcup", (22106, 36592, 18526, 3428)),
    "pruned": (6, 0.25, (16, 6, 6, 6), "xcup", (7095, 9813, 5882, 959)),
    "pruned, Zynq": (6, 0.25, (16, 6, 6, 6), "xc7", (6983, 10247, 5503, 1116)),
}


@pytest.mark.parametrize("name", TAGGERS)
def test_published_networks_are_between_the_ends_of_layers_unlike_the_measured_ones(name):
    bits, left, inputs, family, stated = TAGGERS[name]
    shapes = ((16, 64), (64, 32), (32, 32), (32, 5))
    nodes = [
        replace(NODE, inputs=one, outputs=other, weight_bits=bits, input_bits=input_bits,
                nonzeros=round(left * one * other))
        for (one, other), input_bits in zip(shapes, inputs, strict=True)
    ]  # fmt: skip
    prediction = vendor.predict(nodes, family, 5.0)
    for layer, lut in zip(prediction.layers, stated, strict=True):
        assert layer.outside and layer.predictions["lut"].holds(lut)
    assert prediction.total["lut"].holds(sum(stated))


@pytest.mark.slow
def test_on_the_command_line(tmp_path):
    model = save(tmp_path / "model.pt")
    done = run("estimate", model, "--backend", "hls4ml", "--board", "alveo-u250", "--json")
    assert done.code == 0
    (result,) = json.loads(done.out)["estimates"]
    assert (result["backend"], result["of_stage"], result["calibrated"], result["fits"]) == (
        "hls4ml",
        "hls",
        False,
        None,
    )
    assert {"lut", "dsp", "interval_cycles"} == set(result["predictions"])
    shared = run("estimate", model, "--backend", "hls4ml", "--board", "alveo-u250", "--strategy", UNROLLED,
                 "--reuse-factor", "2", "--explain")  # fmt: skip
    assert shared.code == 0 and "0 designs measured with strategy 'resource_unrolled'" in " ".join(shared.out.split())
    wrong = run("estimate", model, "--backend", "hls4ml", "--board", "alveo-u250", "--strategy", "resources")
    assert wrong.code == 2 and "unknown strategy 'resources'" in wrong.err
    everything = run("estimate", model, "--board", "alveo-u250", "--json")
    content = json.loads(everything.out)
    assert [one["backend"] for one in content["estimates"]] == ["finn", "hls4ml", "rtl"]
    # FINN's foldings, and the adders and requantizers of the unrolled circuit, node by node.
    finn, _, rtl = (one["nodes"] for one in content["estimates"])
    assert {"SIMD", "PE", "lanes"} <= set(finn[0]) and {"adders", "requantizers", "stages"} <= set(rtl[0])
    network = prepare(Source(Path(model), Widths(), compare=False), lambda line: None).network
    assert content["layers"] == {name: asdict(one) for name, one in of_network(network).items()}
    shown = run("estimate", model, "--backend", "finn", "--board", "pynq-z2")
    total = sum(one["ebops"] for one in content["layers"].values())
    assert shown.code == 0 and "EBOPs" in shown.out and f"{total:,}" in shown.out
