# SPDX-License-Identifier: Apache-2.0
"""The network on a Zynq board under PYNQ: real inputs in, logits or classes out.

    network = Network()                 # loads network.bit, which lies beside this file
    network.classes(values)             # (n,) class numbers of real values (n, inputs)
    network.values(network.run(values)) # (n, outputs) logits as real numbers

or `python3 driver.py selftest` and `python3 driver.py throughput`. Needs numpy, and pynq 2.7 or newer. Every constant
is in `constants.json`: those of the integer network that the hardware was compared with. It was written by qap2fpga
and has been tried against a software mock of PYNQ only.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROUNDINGS = {"ROUND": np.rint, "FLOOR": np.floor, "CEIL": np.ceil, "ROUND_TO_ZERO": np.trunc}
# Bytes of a DMA buffer; a larger batch goes in several transfers.
BUFFER_BYTES = 1 << 20


def quantize(values, quantizer):
    """Integers (n, inputs) of real `values` (n, inputs): clamp(round((x - offset) / scale + zero_point)) - zero_point.

    Infinities are clamped like all that is out of range. Raises ValueError for NaN, which has no integer.
    """
    values = np.asarray(values).astype(np.float64)
    bad = np.argwhere(np.isnan(values))
    if len(bad):
        raise ValueError(f"row {bad[0][0]}, input {bad[0][1]} is NaN")
    scaled = (values - np.asarray(quantizer["offset"])) / np.asarray(quantizer["scale"])
    if quantizer["rounding"] == "SIGN":
        return np.where(scaled >= 0, 1, -1).astype(np.int64)
    zero = quantizer["zero_point"]
    rounded = ROUNDINGS[quantizer["rounding"]](scaled + zero) - zero
    return np.clip(rounded, *ends(quantizer)).astype(np.int64)


def ends(quantizer):
    """The smallest and the largest integer, each (1,) or (inputs,)."""
    return np.transpose(quantizer["ends"] or [(quantizer["low"], quantizer["high"])])


def frames(values, frame, inputs):
    """Values (n, inputs) in the order of the hardware: row by row, the channels of a position together.

    `values` are rows as the model takes them, as images (n, channels, height, width), or (n, inputs) in that order.
    """
    values = np.asarray(values)
    model = frame and tuple(frame["model"])
    if frame and values.shape[1:] == model:
        parts = values.reshape(len(values), *frame["parts"])
        return parts.transpose(0, *(place + 1 for place in frame["moves"])).reshape(len(values), inputs)
    if values.ndim != 2 or values.shape[1] != inputs:
        images = f"(n, {', '.join(map(str, model))}) or " if frame else ""
        raise ValueError(f"inputs have shape {values.shape}, {images}(n, {inputs}) is needed")
    return values


def pack(integers, layout):
    """Bytes (n * frame_bytes,) of integers (n, elements), as they lie in memory."""
    lanes, bits = layout["lanes"], layout["bits"]
    rows = np.asarray(integers, np.int64).reshape(-1, lanes)
    planes = np.zeros((len(rows), 8 * layout["slot_bytes"]), np.uint8)
    for bit in range(bits):
        planes[:, bit : lanes * bits : bits] = (rows >> bit) & 1
    return np.packbits(planes, axis=1, bitorder="little").reshape(-1)


def unpack(memory, layout):
    """Integers (n, elements) of bytes (n * frame_bytes,)."""
    lanes, bits = layout["lanes"], layout["bits"]
    slots = np.asarray(memory, np.uint8).reshape(-1, layout["slot_bytes"])
    planes = np.unpackbits(slots, axis=1, bitorder="little")
    rows = np.zeros((len(slots), lanes), np.int64)
    for bit in range(bits):
        worth = -(1 << bit) if layout["signed"] and bit == bits - 1 else 1 << bit
        rows += planes[:, bit : lanes * bits : bits].astype(np.int64) * worth
    return rows.reshape(-1, layout["elements"])


def finish(accumulators, end):
    """What the network makes of its last layer's accumulators (n, outputs), where they leave the chip as they are."""
    if "multiplier" in end:
        return (accumulators * np.asarray(end["multiplier"]) + np.asarray(end["offset"])) >> end["shift"]
    columns = enumerate(accumulators.T)
    counts = [np.searchsorted(end["thresholds"][output], column, side="right") for output, column in columns]
    return end["base"] + end["step"] * np.stack(counts, axis=1)


class Network:
    """The loaded overlay. `folder` holds constants.json and the bitstream; `platform` stands in for pynq in tests."""

    def __init__(self, folder=HERE, platform=None, time_limit_s=10.0):
        self.folder = Path(folder)
        self.constants = json.loads((self.folder / "constants.json").read_text())
        self.time_limit_s = time_limit_s
        self.platform = platform or importlib.import_module("pynq")
        self.dma = self.platform.Overlay(str(self.folder / self.constants["bitstream"])).dma
        largest = max(self.constants[side]["frame_bytes"] for side in ("input", "output"))
        self.batch = max(1, BUFFER_BYTES // largest)
        self.buffers = {}

    def frames(self, values):
        """The same values (n, inputs) in the order of the hardware, of the model's rows or of such values."""
        return frames(values, self.constants["frame"], self.constants["input"]["elements"])

    def quantize(self, values):
        """The integers (n, inputs) that the hardware takes for real `values`, which `frames` puts in order."""
        return quantize(self.frames(values), self.constants["quantizer"])

    def run(self, values):
        """Output integers (n, outputs) of real `values`: images as the model takes them, or (n, inputs) in order."""
        return self.run_integers(self.quantize(values))

    def run_integers(self, integers):
        """Output integers (n, outputs) of input integers (n, inputs), in the order of the hardware as `quantize` gives
        them. Raises ValueError for one out of range."""
        integers = frames(integers, None, self.constants["input"]["elements"])
        limits = self.constants["quantizer"]
        low, high = ends(limits)
        if not ((low <= integers) & (integers <= high)).all():
            each = ", or less per input" if limits["ends"] else ""
            raise ValueError(f"inputs are integers from {limits['low']} to {limits['high']}{each}")
        source, sink = self.constants["input"], self.constants["output"]
        batches = [integers[row : row + self.batch] for row in range(0, len(integers), self.batch)]
        found = [unpack(self.transfer(pack(batch, source)), sink) for batch in batches]
        return np.concatenate(found) if found else np.zeros((0, sink["elements"]), np.int64)

    def values(self, outputs):
        """Real numbers (n, outputs) of output integers: logits, or what else leaves the chip."""
        return outputs * self.constants["output_value"]

    def classes(self, values):
        """Class numbers (n,) of real `values`, as `run` takes them; the first of equals."""
        return self.classes_of(self.run(values))

    def classes_of(self, outputs):
        """Class numbers (n,) of output integers (n, outputs)."""
        if self.constants["output_kind"] == "class":
            return outputs[:, 0]
        if self.constants["output_kind"] == "accumulators":
            outputs = finish(outputs, self.constants["end"])
        return outputs.argmax(axis=1)

    def transfer(self, memory):
        """One transfer of whole frames, bytes in and out. Raises RuntimeError if it does not end as it must."""
        frames = len(memory) // self.constants["input"]["frame_bytes"]
        into = self._buffer("in", len(memory))
        size = frames * self.constants["output"]["frame_bytes"]
        out = self._buffer("out", size)
        into[: len(memory)] = memory
        # The receiver must be there before the first result.
        self.dma.recvchannel.transfer(out, nbytes=size)
        self.dma.sendchannel.transfer(into, nbytes=len(memory))
        self._wait((self.dma.sendchannel, self.dma.recvchannel))
        got = getattr(self.dma.recvchannel, "transferred", size)
        if got != size:
            raise RuntimeError(f"{got} bytes came back, {size} were expected: is it another bitstream?")
        return np.array(out[:size])

    def self_test(self):
        """Run the recorded vectors; number of them. Raises RuntimeError that names the first wrong one."""
        with np.load(self.folder / "vectors.npz") as stored:
            recorded = dict(stored)
        frame, size = self.constants["frame"], self.constants["input"]["elements"]
        if frame and not np.array_equal(self.frames(np.arange(size).reshape(1, *frame["model"])), recorded["order"]):
            raise RuntimeError("values of an image are put into another order than the recorded one")
        if not np.array_equal(quantize(recorded["real"], self.constants["quantizer"]), recorded["real_integers"]):
            raise RuntimeError("the quantizer gives other integers than those recorded")
        found = self.run_integers(recorded["inputs"])
        wrong = np.argwhere(found != recorded["outputs"])
        if len(wrong):
            row, output = wrong[0]
            raise RuntimeError(
                f"{len(wrong)} of {found.size} outputs differ; vector {row}, output {output} is {found[row, output]}, "
                f"expected {recorded['outputs'][row, output]}"
            )
        return len(found)

    def throughput(self, vectors=None, seconds=1.0):
        """Measure vectors per second: `hardware`, transfers of packed words; `all`, from real numbers to outputs."""
        count = vectors or self.batch
        layout, quantizer = self.constants["input"], self.constants["quantizer"]
        integers = np.random.default_rng(0).integers(
            quantizer["low"], quantizer["high"], (count, layout["elements"]), endpoint=True
        )
        packed = pack(integers[: self.batch], layout)
        real = integers * np.asarray(quantizer["scale"]) + np.asarray(quantizer["offset"])
        return {
            "hardware": _rate(lambda: self.transfer(packed), min(count, self.batch), seconds),
            "all": _rate(lambda: self.run(real), count, seconds),
            "expected": self.constants["expected_per_second"],
        }

    def _buffer(self, name, size):
        """A buffer of at least `size` bytes that the DMA can reach."""
        if name not in self.buffers or len(self.buffers[name]) < size:
            if name in self.buffers:
                self.buffers.pop(name).freebuffer()
            self.buffers[name] = self.platform.allocate(shape=(size,), dtype=np.uint8)
        return self.buffers[name]

    def _wait(self, channels):
        """Until all are done. PYNQ's own wait has no limit."""
        end = time.monotonic() + self.time_limit_s
        while not all(channel.idle for channel in channels):
            if any(channel.error for channel in channels):
                raise RuntimeError("the DMA reports an error; load the bitstream again")
            if time.monotonic() > end:
                raise RuntimeError(f"no answer in {self.time_limit_s} s; load the bitstream again")
        for channel in channels:
            channel.wait()


def _rate(work, vectors, seconds):
    work()
    begin, runs = time.monotonic(), 0
    while True:
        work()
        runs += 1
        spent = time.monotonic() - begin
        if spent >= seconds:
            return vectors * runs / spent


def main():
    """`selftest` and `throughput` for the shell."""
    parser = argparse.ArgumentParser(description="Run the network on this board.")
    parser.add_argument("what", choices=("selftest", "throughput"))
    chosen = parser.parse_args().what
    network = Network()
    if chosen == "selftest":
        print(f"{network.self_test()} recorded vectors: every output is equal")
    else:
        for name, rate in network.throughput().items():
            print(f"{name}: {rate:.0f} vectors/s")


if __name__ == "__main__":
    main()
