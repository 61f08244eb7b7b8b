# SPDX-License-Identifier: Apache-2.0
"""Somebody else's hardware as a `Design`: its Verilog read by Yosys and written anew, with our streams around it.

A simulator runs more than hardware: `$system`, `$fopen`, C++ in `$c`. What Yosys has read and written again holds
cells and wires alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from qap2fpga.audit.jobs import Rewrite, Rewritten
from qap2fpga.audit.ports import HINT, Lanes, Port, Ports
from qap2fpga.hw.design import Design, Stream
from qap2fpga.synth.jobs import ask
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import shipped, write_atomically

WORKER = Path(__file__).with_name("worker.py")
TOP, THEIRS, QUEUE = "qap_audit", "qap_audited", "qap_fixed_latency"
LIMIT_S = 600.0


def of_verilog(
    ports: Ports, sources: list[Path], sides: tuple[Lanes, Lanes], given: Lanes, elements: tuple[int, int], folder: Path
) -> Design:
    """Write the design of the Verilog in `sources` into `folder`, and return it.

    `sides` and `elements` are the values of a beat, and of a frame, of input and output; `given` those of the input
    with the ones that the hardware does not take. Raises `QapError` for Verilog
    that Yosys cannot read, and for ports that are not there or have another width.
    """
    folder.mkdir(parents=True, exist_ok=True)
    result = folder / f"{THEIRS}.v"
    job = Rewrite(top=ports.top, name=THEIRS, result=str(result.resolve()),
                  sources=tuple(str(one.resolve()) for one in sources))  # fmt: skip
    rewritten = ask(
        WORKER, job, Rewritten, name="read", what="reading the Verilog", logs=folder, place=folder, limit_s=LIMIT_S
    )
    _require_ports(ports, sides, rewritten)
    streams = _stream("in0", given, elements[0]), _stream("out0", sides[1], elements[1])
    widths = rewritten.inputs[ports.input.port], rewritten.outputs[ports.output.port]
    write_atomically(folder / f"{TOP}.v", "\n".join(_top(ports, sides, streams, widths)))
    shutil.copyfile(shipped("flows") / "audit" / f"{QUEUE}.v", folder / f"{QUEUE}.v")
    names = (result.name, f"{QUEUE}.v", f"{TOP}.v")
    interval = max(ports.interval, *(stream.beats for stream in streams))
    return Design("audit", folder, TOP, names, (), *streams, interval)


def _require_ports(ports: Ports, sides: tuple[Lanes, Lanes], rewritten: Rewritten) -> None:
    """Raise `QapError` for a port that the module has not, or has in another width, and one that nobody has named."""
    source, sink = ports.input, ports.output
    single = [{name: {1} for name in names if name} for names in (
        (ports.clock, ports.reset, source.valid, sink.ready), (source.ready, sink.valid)
    )]  # fmt: skip
    wanted = (
        ("input", {**single[0], source.port: padded(sides[0].total)}, rewritten.inputs),
        ("output", {**single[1], sink.port: padded(sides[1].total)}, rewritten.outputs),
    )
    for kind, named, there in wanted:
        for name, widths in named.items():
            if there.get(name) not in widths:
                bits = min(widths)
                has = f"an {kind} of {there[name]} bits" if name in there else f"no {kind}"
                raise QapError(f"module {ports.top}: '{name}' is {has}, {bits} are described", HINT)
        for name in there.keys() - named.keys():
            if kind == "input":
                raise QapError(f"module {ports.top}: nothing is said of its input '{name}'", HINT)


def padded(bits: int) -> set[int]:
    """Return the widths that a port of `bits` may have: these, or whole bytes."""
    return {bits, -(-bits // 8) * 8}


def _stream(name: str, side: Lanes, elements: int) -> Stream:
    low = min(0, *side.exponents)
    bits = max(
        one + exponent - low + (any(side.signed) and not signed)
        for one, exponent, signed in zip(side.bits, side.exponents, side.signed, strict=True)
    )
    return Stream(name, elements, len(side.bits), bits, any(side.signed))


def _top(
    ports: Ports, sides: tuple[Lanes, Lanes], streams: tuple[Stream, Stream], widths: tuple[int, int]
) -> Iterator[str]:
    """Yield the lines of the module around theirs, whose ports have `widths`: values, and zeros beyond them."""
    yield "// SPDX-License-Identifier: Apache-2.0"
    yield f"module {TOP}(input ap_clk, input ap_rst_n,"
    for stream, (here, there) in zip(streams, (("input", "output"), ("output", "input")), strict=True):
        end = ");" if stream is streams[1] else ","
        yield f"    {here} [{stream.beat_bits - 1}:0] {stream.name}_TDATA, {here} {stream.name}_TVALID,"
        yield f"    {there} {stream.name}_TREADY{end}"
    source, sink = streams
    yield f"    wire [{widths[0] - 1}:0] given;"
    yield f"    wire [{widths[1] - 1}:0] got;"
    yield f"    wire [{sink.beat_bits - 1}:0] results;"
    at = 0
    for lane, bits in enumerate(sides[0].bits):
        first = lane * source.bits
        if not bits:
            continue
        yield f"    assign given[{at + bits - 1}:{at}] = {source.name}_TDATA[{first + bits - 1}:{first}];"
        at += bits
    if at < widths[0]:
        yield f"    assign given[{widths[0] - 1}:{at}] = 0;"
    yield from _results(sides[1], sink)
    yield from _instances(ports, ports.input, ports.output, sink)
    yield "endmodule\n"


def _results(side: Lanes, sink: Stream) -> Iterator[str]:
    """Yield the values that came out, all as wide and in the same unit."""
    low, at = min(0, *side.exponents), 0
    for lane, (bits, signed, exponent) in enumerate(zip(side.bits, side.signed, side.exponents, strict=True)):
        zeros, more = exponent - low, sink.bits - bits - (exponent - low)
        sign = f"{{{more}{{got[{at + bits - 1}]}}}}" if signed and bits else f"{more}'d0"
        parts = [*([sign] if more else []), *([f"got[{at + bits - 1}:{at}]"] if bits else [])]
        parts += [f"{zeros}'d0"] if zeros else []
        yield f"    assign results[{(lane + 1) * sink.bits - 1}:{lane * sink.bits}] = {{{', '.join(parts)}}};"
        at += bits
    used = sink.lanes * sink.bits
    if used < sink.beat_bits:
        yield f"    assign results[{sink.beat_bits - 1}:{used}] = 0;"


def _instances(ports: Ports, source: Port, sink: Port, stream: Stream) -> Iterator[str]:
    connected: dict[str, str] = {source.port: "given", sink.port: "got"}
    if ports.clock:
        connected[ports.clock] = "ap_clk"
    if ports.reset:
        connected[ports.reset] = "ap_rst_n" if ports.reset_active == "low" else "!ap_rst_n"
    if ports.latency is None:
        connected |= {source.valid: "in0_TVALID", source.ready: "in0_TREADY"}
        connected |= {sink.valid: "out0_TVALID", sink.ready: "out0_TREADY"}
        yield "    assign out0_TDATA = results;"
    else:
        settings = f"#(.LATENCY({ports.latency}), .BITS({stream.beat_bits}))"
        yield f"    {QUEUE} {settings} queue(.clock(ap_clk), .reset_n(ap_rst_n), .in_valid(in0_TVALID),"
        yield "        .in_ready(in0_TREADY), .results(results), .out_data(out0_TDATA), .out_valid(out0_TVALID),"
        yield "        .out_ready(out0_TREADY));"
    yield f"    {THEIRS} theirs({_connections(connected)});"


def _connections(connected: Mapping[str, str]) -> str:
    # Escaped, since a name may be a word of another version of the language.
    return ", ".join(f".\\{port} ({wire})" for port, wire in connected.items())
