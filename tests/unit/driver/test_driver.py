# SPDX-License-Identifier: Apache-2.0
"""The driver against the integer network, through a mock of PYNQ, and the C header through gcc."""

from __future__ import annotations

import ast
import ctypes
import json
import subprocess
import sys
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qap2fpga.driver import files, header
from qap2fpga.driver.layout import in_memory, layout
from qap2fpga.driver.mock import MockPynq
from qap2fpga.hw import boards
from qap2fpga.hw.design import Design, Stream
from qap2fpga.ir import outputs as reference
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.vectors import random_vectors
from qap2fpga.system.names import identifier
from qap2fpga.verify import dma
from tests.conftest import ROOT
from tests.unit.backends.test_rtl import network

BOARD = boards.load("pynq-z2")
ODD = InputQuantizer(-8, 7, (0.1,), (0.3,), 1)


def load(path: Path) -> ModuleType:
    """The driver as it lies in a build, which is no package; no bytecode is left beside it."""
    module = ModuleType("driver")
    module.__file__ = str(path)
    exec(compile(path.read_text(), path, "exec"), module.__dict__)
    return module


DRIVER = load(ROOT / "flows" / "driver" / "driver.py")


def design(one: Graph, folder, kind: str = "logits", lanes: tuple[int, int] = (2, 1)) -> Design:
    """As the finn backend would fold it; there are no sources, as none are read here."""
    answers = reference.outputs(one, kind, random_vectors(one, 500, 1))
    bits = max(int(np.abs(answers).max()).bit_length() + 2, 2)
    into = Stream("in0", one.inputs, lanes[0], one.input.bits, one.input.signed)
    out = Stream("out0", answers.shape[1], lanes[1], bits, kind != "class")
    return Design("finn", folder, "top", (), (), into, out, 3)


def driver(one: Graph, folder, kind: str = "logits", vectors: int = 40, **options):
    """A driver of the written folder, and the mock that it speaks with."""
    made = design(one, folder, kind, **options)
    files.write(made, one, kind, BOARD, "Jets 6b", random_vectors(one, vectors, 2), folder / "driver")
    mock = MockPynq(one, made, kind)
    module = load(folder / "driver" / "driver.py")
    return module.Network(folder / "driver", platform=mock), mock


def real(one: Graph, rows: int) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 1, (rows, one.inputs)).astype(np.float32)


@pytest.mark.parametrize("rows", [0, 1, 7, 1000])
@pytest.mark.parametrize("kind", ["logits", "class", "accumulators"])
def test_every_output_is_the_integer_networks(tmp_path, rows, kind):
    one = network(3)
    found, mock = driver(one, tmp_path, kind)
    values = real(one, rows)
    answers = reference.outputs(one, kind, one.input.quantize(values))
    outputs = found.run(values)
    assert outputs.dtype == np.int64 and outputs.shape == answers.shape and (outputs == answers).all()
    assert (found.classes(values) == one.run(one.input.quantize(values)).argmax(axis=1)).all()
    scale = float(one.output_scale) if kind == "logits" else 1
    assert (found.values(outputs) == answers * scale).all()
    assert len(mock.dma.transfers) == 2 * (rows > 0), "nothing to send is not sent"
    assert mock.bitstream == str(tmp_path / "driver" / "network.bit")


def test_a_large_batch_goes_in_several_transfers(tmp_path):
    one = network(3)
    found, mock = driver(one, tmp_path)
    assert found.batch == (1 << 20) // 8, "the output's frame is the larger"
    found.batch = 9
    values = real(one, 40)
    assert (found.run(values) == one.run(one.input.quantize(values))).all()
    frame = found.constants["input"]["frame_bytes"]
    assert mock.dma.transfers == [9 * frame] * 4 + [4 * frame]
    assert sorted(found.buffers) == ["in", "out"], "buffers are used again"
    first = found.buffers["in"]
    found.batch = 100
    found.run(values)
    assert first.freed and found.buffers["in"] is not first


def test_a_network_that_ends_in_levels(tmp_path):
    one = network(5, step_end=Step(np.zeros((4, 3), np.int64), -3, 2))
    one = replace(one, output_scale=Fraction(1, 3))
    for kind in ("logits", "accumulators"):
        found, _ = driver(one, tmp_path / kind, kind)
        values = real(one, 300)
        assert (found.classes(values) == one.run(one.input.quantize(values)).argmax(axis=1)).all()


def test_inputs_out_of_range_and_without_a_number(tmp_path):
    one = network(3)
    found, _ = driver(one, tmp_path)
    values = real(one, 6)
    values[0], values[1], values[2, 1], values[3, 2] = np.inf, -np.inf, 3e38, -3e38
    assert found.quantize(values)[0].tolist() == [7] * one.inputs
    assert found.quantize(values)[1].tolist() == [-8] * one.inputs
    assert (found.run(values) == one.run(one.input.quantize(values))).all()
    values[4, 3] = np.nan
    with pytest.raises(ValueError, match="row 4, input 3 is NaN"):
        found.run(values)
    for wrong in (values[:, :-1], values[0]):
        with pytest.raises(ValueError, match="inputs have shape"):
            found.run(wrong)
    with pytest.raises(ValueError, match="integers from -8 to 7"):
        found.run_integers(np.full((1, one.inputs), 8))


QUANTIZERS = [
    ODD, InputQuantizer(-8, 7, (0.25,)), InputQuantizer(0, 255, (0.5,)), InputQuantizer(-1, 1, (0.7,), rounding="SIGN"),
    InputQuantizer(-8, 7, (0.1, 0.2, 0.3, 1.0, 7.0, 1e-3), (0.0, 1.0, -1.0, 0.5, 3.0, 0.0), rounding="FLOOR"),
    InputQuantizer(-8, 7, (0.3,), rounding="CEIL"), InputQuantizer(-128, 127, (1 / 64,), rounding="ROUND_TO_ZERO"),
]  # fmt: skip


@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=lambda one: f"{one.rounding}-{one.bits}")
def test_the_quantizer_at_ties_and_extremes(quantizer):
    one = network(3).with_input(quantizer)
    values = files.edges(one)
    assert len(values) > 40 and np.isinf(values).any()
    written = json.loads(json.dumps(asdict(quantizer)))
    assert (DRIVER.quantize(values, written) == quantizer.quantize(values)).all()


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 4), st.booleans(), st.integers(0, 5), st.integers(0, 99))
def test_packing_is_that_of_the_simulations(bits, lanes, beats, signed, rows, seed):
    port = Stream("in0", lanes * beats, lanes, bits, signed)
    made = layout(port)
    described = {"lanes": lanes, "bits": bits, "signed": signed, "slot_bytes": made.slot_bytes,
                 "elements": port.elements}  # fmt: skip
    values = np.random.default_rng(seed).integers(made.low, made.high, (rows, port.elements), endpoint=True)
    memory = DRIVER.pack(values, described)
    assert memory.shape == (rows * made.frame_bytes,)
    assert (memory == in_memory(values, port)).all()
    assert (DRIVER.unpack(memory, described) == values).all()


def test_the_self_test_sees_one_wrong_bit(tmp_path, monkeypatch):
    one = network(3)
    found, mock = driver(one, tmp_path, vectors=50)
    assert found.self_test() == 50
    core = mock.dma.core

    def flipped(memory: np.ndarray) -> np.ndarray:
        answer = core(memory)
        answer[-8] ^= 1
        return answer

    mock.dma.core = flipped
    with pytest.raises(RuntimeError, match=r"1 of 200 outputs differ; vector 49, output \d is"):
        found.self_test()
    mock.dma.core = core
    found.constants["quantizer"]["scale"] = [0.11]
    with pytest.raises(RuntimeError, match="the quantizer gives other integers"):
        found.self_test()


def test_hardware_that_does_not_answer(tmp_path):
    one = network(3)
    found, mock = driver(one, tmp_path)
    core = mock.dma.core
    for answer, what in ((lambda memory: core(memory)[:-8], "bytes came back"),
                         (lambda memory: np.zeros(1 << 20, np.uint8), "reports an error")):  # fmt: skip
        mock.dma.core = answer
        with pytest.raises(RuntimeError, match=what):
            found.run(real(one, 3))
        found.dma = mock.dma = type(mock.dma)(core)
    found.dma.sendchannel.ready = lambda: None
    found.dma.recvchannel.ready = lambda: None
    found.time_limit_s = 0.05
    with pytest.raises(RuntimeError, match=r"no answer in 0\.05 s"):
        found.run(real(one, 3))


def test_the_mock_refuses_what_a_dma_does_not_do(tmp_path):
    one = network(3)
    _, mock = driver(one, tmp_path)
    with pytest.raises(RuntimeError, match="not whole frames"):
        mock.core(np.zeros(1, np.uint8))
    with pytest.raises(RuntimeError, match="does not reach"):
        mock.dma.sendchannel.transfer(np.zeros(8, np.uint8))
    with pytest.raises(ValueError, match="too long"):
        mock.dma.sendchannel.transfer(mock.allocate((8,), np.uint8), nbytes=9)


def test_throughput_is_measured(tmp_path):
    found, _ = driver(network(3), tmp_path)
    rates = found.throughput(vectors=50, seconds=0.01)
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
    made = generated(one, tmp_path)
    files.write(made, one, "logits", BOARD, "n", random_vectors(one, 8, 1), tmp_path / "driver")
    found = load(tmp_path / "driver" / "driver.py").Network(
        tmp_path / "driver", platform=MockPynq(one, made, "logits")
    )  # fmt: skip
    values = real(one, 60)
    integers = found.quantize(values)
    packed = DRIVER.pack(integers, found.constants["input"])
    assert (packed == in_memory(integers, made.input)).all()
    answers = found.run(values)
    dma.Dma(made, tmp_path / "work", batch=15).simulate(integers, answers)


# ---- C


def compiled(folder, name: str, text: str) -> ctypes.CDLL:
    """The functions of the header, with every warning an error."""
    folder.mkdir(parents=True, exist_ok=True)
    prefix = identifier(name)
    (folder / f"{prefix}.h").write_text(text)
    calls = f"""#include "{prefix}.h"
int quantize(const float *x, int64_t *q) {{ return {prefix}_quantize(x, q); }}
void pack(const int64_t *q, uint8_t *bytes) {{ {prefix}_pack(q, bytes); }}
void unpack(const uint8_t *bytes, int64_t *y) {{ {prefix}_unpack(bytes, y); }}
double value(int64_t y) {{ return {prefix}_value(y); }}
#ifdef CLASS
int class_of(const int64_t *y) {{ return {prefix}_class(y); }}
#endif
"""
    (folder / "calls.c").write_text(calls)
    more = ["-DCLASS"] if f"{prefix}_class" in text else []
    flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, *more, "-o", "calls.so", "calls.c", "-lm"], cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "calls.so"))
    library.value.restype, library.value.argtypes = ctypes.c_double, [ctypes.c_int64]
    return library


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    assert array.flags.c_contiguous
    return ctypes.c_void_p(array.ctypes.data)


@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=lambda one: f"{one.rounding}-{one.bits}")
@pytest.mark.parametrize("kind", ["logits", "class"])
def test_c_computes_what_the_reference_computes(tmp_path, quantizer, kind):
    one = network(3).with_input(quantizer)
    made = design(one, tmp_path, kind)
    files.write(made, one, kind, BOARD, "6b jets-80", random_vectors(one, 8, 1), tmp_path / "driver")
    text = (tmp_path / "driver" / "net_6b_jets_80.h").read_text()
    library = compiled(tmp_path / "c", "6b jets-80", text)
    values = np.ascontiguousarray(np.concatenate([files.edges(one)[::3], real(one, 50)]))
    integers, row = one.input.quantize(values), np.zeros(one.inputs, np.int64)
    into, out = layout(made.input), layout(made.output)
    answers = reference.outputs(one, kind, integers)
    packed = in_memory(integers, made.input).reshape(len(values), -1)
    memory = np.ascontiguousarray(in_memory(answers, made.output).reshape(len(values), -1))
    found = np.zeros(answers.shape[1], np.int64)
    for index in range(len(values)):
        assert library.quantize(pointer(values[index]), pointer(row)) == 0
        assert (row == integers[index]).all(), index
        written = np.full(into.frame_bytes, 0xAA, np.uint8)
        library.pack(pointer(row), pointer(written))
        assert (written == packed[index]).all()
        library.unpack(pointer(memory[index]), pointer(found))
        assert (found == answers[index]).all() and out.frame_bytes == memory.shape[1]
        assert library.class_of(pointer(found)) == reference.classes(kind, answers[index : index + 1])[0]
        assert library.value(int(found[0])) == found[0] * (float(one.output_scale) if kind == "logits" else 1)
    values[0, 1] = np.nan
    assert library.quantize(pointer(values[0]), pointer(row)) == -1


@pytest.mark.parametrize("bits, signed", [(64, True), (63, False), (1, False), (1, True), (33, True)])
def test_c_unpacks_every_width(tmp_path, bits, signed):
    one = network(3)
    out = Stream("out0", 3, 1, bits, signed)
    made = replace(design(one, tmp_path), output=out)
    files.write(made, one, "accumulators", BOARD, "n", np.zeros((0, one.inputs), np.int64), tmp_path / "driver")
    library = compiled(tmp_path / "c", "n", (tmp_path / "driver" / "n.h").read_text())
    low, high = layout(out).low, layout(out).high
    values = np.array([[low, high, 0], [high, low, low + 1]], np.int64)
    memory = in_memory(values, out).reshape(2, -1)
    found = np.zeros(3, np.int64)
    for row, wanted in zip(np.ascontiguousarray(memory), values, strict=True):
        library.unpack(pointer(row), pointer(found))
        assert (found == wanted).all()


def test_the_fixed_point_formats_are_stated(tmp_path):
    one = network(3).with_input(InputQuantizer(-8, 7, (0.25,)))
    text = header.header("n", files.constants(design(one, tmp_path), one, "logits", BOARD))
    assert "ap_fixed<4, 2>, that is 2 bits after the binary point" in text
    assert f"ap_fixed<{design(one, tmp_path).output.bits}, {design(one, tmp_path).output.bits - 4}>" in text
    other = header.header("n", files.constants(design(one, tmp_path), one.with_input(ODD), "logits", BOARD))
    assert "no fixed-point format: the scale is not one power of two" in other
