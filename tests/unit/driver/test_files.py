# SPDX-License-Identifier: Apache-2.0
"""The Python driver compared with the integer network, through a mock of PYNQ."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import asdict, replace
from fractions import Fraction

import numpy as np
import pytest

from qap2fpga.driver import files
from qap2fpga.driver.layout import in_memory
from qap2fpga.driver.mock import MockPynq
from qap2fpga.ir import outputs as reference
from qap2fpga.ir import shown
from qap2fpga.ir.functions import Logits, Step
from qap2fpga.ir.nodes import Requantizer
from qap2fpga.ir.vectors import random_vectors
from qap2fpga.verify import dma
from tests.conftest import ROOT
from tests.support.drivers import BOARD, DRIVER, QUANTIZERS, driver, load, real
from tests.support.graphs import small_cnn
from tests.unit.backends.test_rtl import network


@pytest.mark.parametrize("rows", [0, 1, 7, 1000])
@pytest.mark.parametrize("kind", ["logits", "class", "accumulators"])
def test_every_output_is_the_integer_networks(tmp_path, rows, kind):
    one = network(3)
    result, mock = driver(one, tmp_path, kind)
    values = real(one, rows)
    answers = reference.outputs(one, kind, one.input.quantize(values))
    outputs = result.run(values)
    assert outputs.dtype == np.int64 and outputs.shape == answers.shape and (outputs == answers).all()
    assert (result.classes(values) == one.run(one.input.quantize(values)).argmax(axis=1)).all()
    scale = float(one.output_scale) if kind == "logits" else 1
    assert (result.values(outputs) == answers * scale).all()
    assert len(mock.dma.transfers) == 2 * (rows > 0), "nothing to send is not sent"
    assert mock.bitstream == str(tmp_path / "driver" / "network.bit")


def test_a_large_batch_goes_in_several_transfers(tmp_path):
    one = network(3)
    result, mock = driver(one, tmp_path)
    assert result.batch == (1 << 20) // 8, "the output's frame is the larger"
    result.batch = 9
    values = real(one, 40)
    assert (result.run(values) == one.run(one.input.quantize(values))).all()
    frame = result.constants["input"]["frame_bytes"]
    assert mock.dma.transfers == [9 * frame] * 4 + [4 * frame]
    assert sorted(result.buffers) == ["in", "out"], "buffers are used again"
    first = result.buffers["in"]
    result.batch = 100
    result.run(values)
    assert first.freed and result.buffers["in"] is not first


def test_a_network_that_ends_in_levels(tmp_path):
    one = network(5, step_end=Step(np.zeros((4, 3), np.int64), -3, 2))
    one = replace(one, output_scale=Fraction(1, 3))
    for kind in ("logits", "accumulators"):
        result, _ = driver(one, tmp_path / kind, kind)
        values = real(one, 300)
        assert (result.classes(values) == one.run(one.input.quantize(values)).argmax(axis=1)).all()


def test_inputs_out_of_range_and_without_a_number(tmp_path):
    one = network(3)
    result, _ = driver(one, tmp_path)
    values = real(one, 6)
    values[0], values[1], values[2, 1], values[3, 2] = np.inf, -np.inf, 3e38, -3e38
    assert result.quantize(values)[0].tolist() == [7] * one.inputs
    assert result.quantize(values)[1].tolist() == [-8] * one.inputs
    assert (result.run(values) == one.run(one.input.quantize(values))).all()
    values[4, 3] = np.nan
    with pytest.raises(ValueError, match="row 4, input 3 is NaN"):
        result.run(values)
    for wrong in (values[:, :-1], values[0]):
        with pytest.raises(ValueError, match="inputs have shape"):
            result.run(wrong)
    with pytest.raises(ValueError, match="integers from -8 to 7"):
        result.run_integers(np.full((1, one.inputs), 8))


def test_integers_beyond_the_ends_of_their_input(tmp_path):
    one = network(3).with_input(QUANTIZERS[-1])
    result, _ = driver(one, tmp_path)
    inputs = one.input.quantize(np.full((1, one.inputs), 9.0))
    assert (result.run_integers(inputs) == one.run(inputs)).all()
    inputs[0, 1] = 1
    with pytest.raises(ValueError, match="integers from -8 to 5, or less per input"):
        result.run_integers(inputs)


@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=lambda one: f"{one.rounding}-{one.bits}")
def test_the_quantizer_at_ties_and_extremes(quantizer):
    one = network(3).with_input(quantizer)
    values = files.edges(one)
    assert len(values) > 40 and np.isinf(values).any()
    written = json.loads(json.dumps(asdict(quantizer)))
    assert (DRIVER.quantize(values, written) == quantizer.quantize(values)).all()


def test_the_self_test_sees_one_wrong_bit(tmp_path, monkeypatch):
    one = network(3)
    result, mock = driver(one, tmp_path, vectors=50)
    assert result.self_test() == 50
    core = mock.dma.core

    def flipped(memory: np.ndarray) -> np.ndarray:
        answer = core(memory)
        answer[-8] ^= 1
        return answer

    mock.dma.core = flipped
    with pytest.raises(RuntimeError, match=r"1 of 200 outputs differ; vector 49, output \d is"):
        result.self_test()
    mock.dma.core = core
    result.constants["quantizer"]["scale"] = [0.11]
    with pytest.raises(RuntimeError, match="the quantizer gives other integers"):
        result.self_test()


def test_hardware_that_does_not_answer(tmp_path):
    one = network(3)
    result, mock = driver(one, tmp_path)
    core = mock.dma.core
    for answer, what in ((lambda memory: core(memory)[:-8], "bytes came back"),
                         (lambda memory: np.zeros(1 << 20, np.uint8), "reports an error")):  # fmt: skip
        mock.dma.core = answer
        with pytest.raises(RuntimeError, match=what):
            result.run(real(one, 3))
        result.dma = mock.dma = type(mock.dma)(core)
    result.dma.sendchannel.ready = lambda: None
    result.dma.recvchannel.ready = lambda: None
    result.time_limit_s = 0.05
    with pytest.raises(RuntimeError, match=r"no answer in 0\.05 s"):
        result.run(real(one, 3))


IMAGES = shown.frame((6, 5, 2), (2, 6, 5), ((2, 1), (30, 2)))


@pytest.mark.parametrize("kind", ["logits", "class", "accumulators"])
def test_images_as_the_model_takes_them(tmp_path, kind):
    one = small_cnn()
    result, _ = driver(one, tmp_path, kind, frame=IMAGES)
    assert result.constants["frame"]["model"] == [2, 6, 5]
    images = np.random.default_rng(4).normal(0, 3, (9, 2, 6, 5)).astype(np.float32)
    rows = images.transpose(0, 2, 3, 1).reshape(9, 60)
    integers = one.input.quantize(rows)
    assert (result.frames(images) == rows).all() and (result.frames(rows) == rows).all()
    assert (result.run(images) == reference.outputs(one, kind, integers)).all()
    assert (result.run(rows) == result.run(images)).all()
    assert (result.classes(images) == one.run(integers).argmax(axis=1)).all()
    assert result.self_test() == 40
    assert result.throughput(vectors=5, seconds=0.01)["all"] > 0
    for wrong in (images[0], images.transpose(0, 2, 3, 1), rows[:, 1:]):
        with pytest.raises(ValueError, match=r"\(n, 2, 6, 5\) or \(n, 60\) is needed"):
            result.run(wrong)
    with pytest.raises(ValueError, match=r"inputs have shape \(9, 2, 6, 5\), \(n, 60\) is needed"):
        result.run_integers(images)


@pytest.mark.parametrize(
    "end", [Step(np.array([[-3, 4], [0, 9]]), -1, 2), Logits(np.array([5, 7]), np.array([1, -9]), 2, 0)]
)
def test_an_image_leaves_the_network(tmp_path, end):
    """Each channel has one end, at all positions."""
    nodes = (*small_cnn().nodes[:5], Requantizer(name="end", sources=("conv2",), function=end))
    one = replace(small_cnn(), nodes=nodes, output="end")
    assert one.shapes["end"].positions == 2
    result, _ = driver(one, tmp_path, "accumulators", frame=IMAGES)
    integers = random_vectors(one, 30, 4)
    outputs = result.run_integers(integers)
    assert (outputs == one.result("conv2", integers)).all()
    assert (DRIVER.finish(outputs, result.constants["end"]) == one.run(integers)).all()


def test_the_self_test_sees_images_in_another_order(tmp_path):
    result, _ = driver(small_cnn(), tmp_path, frame=IMAGES)
    result.constants["frame"] |= {"moves": [0, 1]}
    with pytest.raises(RuntimeError, match="another order"):
        result.self_test()


def test_rows_of_the_model_that_are_as_long_as_frames(tmp_path):
    """A model that takes channels first, flattened: its rows are put in order, integers of the hardware are not."""
    one = small_cnn()
    result, _ = driver(one, tmp_path, frame=shown.frame((6, 5, 2), (60,), ((2, 1), (30, 2))))
    images = np.random.default_rng(4).normal(0, 3, (9, 2, 6, 5)).astype(np.float32)
    integers = one.input.quantize(images.transpose(0, 2, 3, 1).reshape(9, 60))
    assert (result.run(images.reshape(9, 60)) == one.run(integers)).all()
    assert (result.run_integers(integers) == one.run(integers)).all()
    assert result.self_test() == 40


def test_throughput_is_measured(tmp_path):
    result, _ = driver(network(3), tmp_path)
    rates = result.throughput(vectors=50, seconds=0.01)
    assert rates["hardware"] > 0 and rates["all"] > 0
    # Three cycles of the core, three slots of a byte: the answer's words are the most, 4 slots of 2 bytes.
    assert rates["expected"] == 1e9 / (10.0 * 3)


def test_a_boards_older_python_reads_it():
    """PYNQ 2.7 has Python 3.8."""
    ast.parse((ROOT / "flows" / "driver" / "driver.py").read_text(), feature_version=(3, 8))


def test_the_command_line_asks_for_pynq(tmp_path):
    driver(network(3), tmp_path)
    done = subprocess.run(
        [sys.executable, "driver.py", "selftest"], cwd=tmp_path / "driver", capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "No module named 'pynq'" in done.stderr


@pytest.mark.slow
def test_the_drivers_words_through_the_hardware(tmp_path, monkeypatch):
    """What the driver packs goes through Verilator, and what comes out through the driver's unpacking."""
    from tests.unit.backends.test_rtl import generated

    one = network(9, (5, 7, 3))
    design = generated(one, tmp_path)
    files.write(design, one, "logits", BOARD, "n", random_vectors(one, 8, 1), tmp_path / "driver")
    result = load(tmp_path / "driver" / "driver.py").Network(
        tmp_path / "driver", platform=MockPynq(one, design, "logits")
    )  # fmt: skip
    values = real(one, 60)
    integers = result.quantize(values)
    packed = DRIVER.pack(integers, result.constants["input"])
    assert (packed == in_memory(integers, design.input)).all()
    answers = result.run(values)
    dma.Dma(design, tmp_path / "work", batch=15).simulate(integers, answers)


@pytest.mark.slow
def test_images_through_the_dma(tmp_path):
    """What the driver packs of images goes through Verilator, in several transfers; a frame waits for the next one."""
    from qap2fpga.backends.rtl.backend import RtlBackend
    from qap2fpga.backends.rtl.options import RtlOptions

    one = small_cnn()
    design = RtlBackend().generate(
        one, BOARD, tmp_path / "rtl", RtlOptions(), random_vectors(one, 8, 1), lambda _: None
    )
    files.write(design, one, "logits", BOARD, "n", random_vectors(one, 8, 1), tmp_path / "driver", IMAGES)
    result = load(tmp_path / "driver" / "driver.py").Network(
        tmp_path / "driver", platform=MockPynq(one, design, "logits")
    )  # fmt: skip
    images = np.random.default_rng(4).normal(0, 3, (20, 2, 6, 5)).astype(np.float32)
    integers = result.quantize(images)
    assert (DRIVER.pack(integers, result.constants["input"]) == in_memory(integers, design.input)).all()
    answers = result.run(images)
    assert (answers == one.run(integers)).all()
    dma.Dma(design, tmp_path / "work", batch=5).simulate(integers, answers)
    dma.Dma(design, tmp_path / "single", batch=1).simulate(integers[:6], answers[:6])
