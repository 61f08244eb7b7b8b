# SPDX-License-Identifier: Apache-2.0
"""The C header, compiled by gcc, compared with the integer network."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from qap2fpga.driver import files, header
from qap2fpga.driver.layout import in_memory, layout
from qap2fpga.hw.design import Stream
from qap2fpga.ir import outputs as reference
from qap2fpga.ir import shown
from qap2fpga.ir.quantizer import InputQuantizer
from qap2fpga.ir.vectors import random_vectors
from qap2fpga.system.names import identifier
from tests.support.drivers import BOARD, ODD, QUANTIZERS, design, real
from tests.support.graphs import small_cnn
from tests.unit.backends.test_rtl import network


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
    small_design = design(one, tmp_path, kind)
    files.write(small_design, one, kind, BOARD, "6b jets-80", random_vectors(one, 8, 1), tmp_path / "driver")
    text = (tmp_path / "driver" / "net_6b_jets_80.h").read_text()
    library = compiled(tmp_path / "c", "6b jets-80", text)
    values = np.ascontiguousarray(np.concatenate([files.edges(one)[::3], real(one, 50)]))
    integers, row = one.input.quantize(values), np.zeros(one.inputs, np.int64)
    into, out = layout(small_design.input), layout(small_design.output)
    answers = reference.outputs(one, kind, integers)
    packed = in_memory(integers, small_design.input).reshape(len(values), -1)
    memory = np.ascontiguousarray(in_memory(answers, small_design.output).reshape(len(values), -1))
    result = np.zeros(answers.shape[1], np.int64)
    for index in range(len(values)):
        assert library.quantize(pointer(values[index]), pointer(row)) == 0
        assert (row == integers[index]).all(), index
        written = np.full(into.frame_bytes, 0xAA, np.uint8)
        library.pack(pointer(row), pointer(written))
        assert (written == packed[index]).all()
        library.unpack(pointer(memory[index]), pointer(result))
        assert (result == answers[index]).all() and out.frame_bytes == memory.shape[1]
        assert library.class_of(pointer(result)) == reference.classes(kind, answers[index : index + 1])[0]
        assert library.value(int(result[0])) == result[0] * (float(one.output_scale) if kind == "logits" else 1)
    values[0, 1] = np.nan
    assert library.quantize(pointer(values[0]), pointer(row)) == -1


@pytest.mark.parametrize("bits, signed", [(64, True), (63, False), (1, False), (1, True), (33, True)])
def test_c_unpacks_every_width(tmp_path, bits, signed):
    one = network(3)
    out = Stream("out0", 3, 1, bits, signed)
    result = replace(design(one, tmp_path), output=out)
    files.write(result, one, "accumulators", BOARD, "n", np.zeros((0, one.inputs), np.int64), tmp_path / "driver")
    library = compiled(tmp_path / "c", "n", (tmp_path / "driver" / "n.h").read_text())
    low, high = layout(out).low, layout(out).high
    values = np.array([[low, high, 0], [high, low, low + 1]], np.int64)
    memory = in_memory(values, out).reshape(2, -1)
    outcome = np.zeros(3, np.int64)
    for row, wanted in zip(np.ascontiguousarray(memory), values, strict=True):
        library.unpack(pointer(row), pointer(outcome))
        assert (outcome == wanted).all()


def test_the_fixed_point_formats_are_stated(tmp_path):
    one = network(3).with_input(InputQuantizer(-8, 7, (0.25,)))
    text = header.header("n", files.constants(design(one, tmp_path), one, "logits", BOARD))
    assert "ap_fixed<4, 2>, that is 2 bits after the binary point" in text
    assert f"ap_fixed<{design(one, tmp_path).output.bits}, {design(one, tmp_path).output.bits - 4}>" in text
    other = header.header("n", files.constants(design(one, tmp_path), one.with_input(ODD), "logits", BOARD))
    assert "no fixed-point format: the scale is not one power of two" in other


def test_the_order_of_an_image_is_stated(tmp_path):
    one, frame = small_cnn(), shown.frame((6, 5, 2), (2, 6, 5), ((2, 1), (30, 2)))
    result = design(one, tmp_path)
    text = header.header("n", files.constants(result, one, "logits", BOARD, frame))
    assert "// A frame is a 6x5 image of 2 channels, row by row" in text
    assert "Rows of the model have the shape (n, 2, 6, 5)." in text
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "n.h").write_text(text)
    code = '#include "n.h"\nint at(int row, int column, int channel) { return N_AT(row, column, channel); }\n'
    (tmp_path / "c" / "at.c").write_text(code + "int size(void) { return N_HEIGHT * N_WIDTH * N_CHANNELS; }\n")
    flags = ["-std=c99", "-Wall", "-Werror", "-pedantic", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", "at.so", "at.c", "-lm"], cwd=tmp_path / "c", check=True)
    library = ctypes.CDLL(str(tmp_path / "c" / "at.so"))
    order = frame.frames(np.arange(60).reshape(1, 2, 6, 5))[0]
    for channel, row, column in np.ndindex(2, 6, 5):
        assert order[library.at(row, column, channel)] == channel * 30 + row * 5 + column
    assert library.size() == one.inputs
    assert "_AT(" not in header.header("n", files.constants(result, one, "logits", BOARD))
