# SPDX-License-Identifier: Apache-2.0
"""What PYNQ would be to `driver.py`, without a board: an overlay whose DMA reaches the integer network.

    Network(folder, platform=MockPynq(network, artifact, kind))

Bytes become integers and back by the simulations' own packing, which shares nothing with the driver's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import numpy as np

from qap2fpga.driver.layout import LENGTH_BITS, in_memory, layout
from qap2fpga.hw.beats import unpack, words
from qap2fpga.hw.design import Artifact, Stream
from qap2fpga.ir import outputs as reference
from qap2fpga.ir.graph import Graph


class Buffer(np.ndarray):
    """An array that says when it was given back."""

    freed = False

    def freebuffer(self) -> None:
        """Give it back."""
        self.freed = True


class Channel:
    """One direction of the DMA, in simple mode: it refuses what the real one would hang on, or get wrong."""

    def __init__(self, ready: Callable[[], None]) -> None:
        self.ready = ready
        self.idle, self.error, self.transferred = True, False, 0
        self.memory: np.ndarray | None = None

    def transfer(self, array: np.ndarray, start: int = 0, nbytes: int = 0) -> None:
        """Begin; the transfer is done when both directions have begun."""
        size = nbytes or array.nbytes - start
        if not self.idle:
            raise RuntimeError("DMA channel not idle")
        if not isinstance(array, Buffer) or array.freed:
            raise RuntimeError("the DMA does not reach this array")
        if size > array.nbytes - start or size >= 1 << LENGTH_BITS:
            raise ValueError(f"a transfer of {size} bytes is too long")
        self.memory = array.view(np.uint8).reshape(-1)[start : start + size]
        self.idle = False
        self.ready()

    def wait(self) -> None:
        """The driver asks `idle` before; here nothing takes time."""
        if not self.idle:
            raise RuntimeError("the transfer does not end")


class Dma:
    """Both channels, and the core between them."""

    def __init__(self, core: Callable[[np.ndarray], np.ndarray]) -> None:
        self.core = core
        self.sendchannel, self.recvchannel = Channel(self._run), Channel(self._run)
        self.transfers: list[int] = []

    def _run(self) -> None:
        send, receive = self.sendchannel, self.recvchannel
        if send.memory is None or receive.memory is None:
            return
        answer = self.core(send.memory.copy())
        if len(answer) > len(receive.memory):
            receive.error = True
            return
        receive.memory[: len(answer)] = answer
        self.transfers.append(len(send.memory))
        for channel, size in ((send, len(send.memory)), (receive, len(answer))):
            channel.transferred, channel.memory, channel.idle = size, None, True


class MockPynq:
    """A mock of the module `pynq`: `Overlay` and `allocate`."""

    def __init__(self, network: Graph, artifact: Artifact, kind: str) -> None:
        self.network, self.kind = network, kind
        self.source, self.sink = artifact.streams
        self.dma = Dma(self.core)
        self.bitstream = ""

    def Overlay(self, bitstream: str) -> Self:
        """The loaded bitstream, itself."""
        self.bitstream = bitstream
        return self

    def allocate(self, shape: tuple[int, ...], dtype: type) -> Buffer:
        """Memory with rubbish in it."""
        memory = np.random.default_rng(0).integers(0, 255, int(np.prod(shape)) * np.dtype(dtype).itemsize, np.uint8)
        return memory.view(dtype).reshape(shape).view(Buffer)

    def core(self, memory: np.ndarray) -> np.ndarray:
        """The bytes that the hardware answers with. Raises `RuntimeError` for a transfer that is not whole frames."""
        if len(memory) % layout(self.source).frame_bytes:
            raise RuntimeError("a transfer is not whole frames")
        codes, bad = unpack(beats(memory, self.source), self.source)
        if bad is not None:
            raise RuntimeError(f"padding of beat {bad} is not 0")
        return in_memory(reference.outputs(self.network, self.kind, codes), self.sink)


def beats(memory: np.ndarray, port: Stream) -> np.ndarray:
    """Beats (n, words) uint32 of `port` from the bytes of whole frames; without the padding of slots."""
    slots = memory.reshape(-1, layout(port).slot_bytes)
    padded = np.zeros((len(slots), 4 * words(port)), np.uint8)
    kept = min(slots.shape[1], padded.shape[1])
    padded[:, :kept] = slots[:, :kept]
    return padded.view("<u4")
