# SPDX-License-Identifier: Apache-2.0
"""Instantiation templates of a design, for people who put it into larger firmware.

The Verilog one is what the simulation itself instantiates (`harness`), so it cannot go stale.
"""

from __future__ import annotations

from qap2fpga.hw.beats import words
from qap2fpga.hw.design import Design, Stream

CLOCK, RESET = "ap_clk", "ap_rst_n"
# The harness' data ports have at least this many bits, so that Verilator gives them one C++ type.
WIDE = 96


def describe(stream: Stream) -> str:
    """One line: how the values of a frame lie in the beats of `stream`."""
    kind = "two's complement" if stream.signed else "unsigned"
    beats = "one beat" if stream.beats == 1 else f"{stream.beats} beats"
    used = stream.lanes * stream.bits
    padding = f", bits {stream.beat_bits - 1}..{used} are padding" if used < stream.beat_bits else ""
    return (
        f"{stream.name}: a frame is {stream.elements} values in {beats} of {stream.lanes}; value k of a beat is"
        f" bits {stream.bits}*k+{stream.bits - 1}..{stream.bits}*k, {kind}{padding}"
    )


def verilog(design: Design, instance: str = "network") -> str:
    """Verilog-2001 text: wires named as the ports, and the instance."""
    streams = (design.input, design.output)
    wires = [f"wire {CLOCK};", f"wire {RESET};  // synchronous, active low"]
    for stream in streams:
        wires.append(f"wire [{stream.beat_bits - 1}:0] {stream.name}_TDATA;")
        wires.append(f"wire {stream.name}_TVALID, {stream.name}_TREADY;")
    ports = ",\n".join(f"    .{name}({name})" for name, _, _ in _ports(design))
    head = "\n".join(f"// {describe(stream)}" for stream in streams)
    return f"{head}\n" + "\n".join(wires) + f"\n{design.top} {instance} (\n{ports}\n);\n"


def vhdl(design: Design, instance: str = "network") -> str:
    """VHDL text: the component, the signals and the instance."""
    ports = _ports(design)
    declared = ";\n".join(f"    {name} : {mode:<3} {_vhdl_type(bits)}" for name, mode, bits in ports)
    signals = "\n".join(f"signal {name} : {_vhdl_type(bits)};" for name, _, bits in ports)
    mapped = ",\n".join(f"    {name} => {name}" for name, _, _ in ports)
    head = "\n".join(f"-- {describe(stream)}" for stream in (design.input, design.output))
    return (
        f"{head}\ncomponent {design.top} is\n  port (\n{declared}\n  );\nend component;\n\n"
        f"{signals}\n\n{instance} : {design.top}\n  port map (\n{mapped}\n  );\n"
    )


def harness(design: Design, instance: str = "network") -> str:
    """Module `harness`: the Verilog template between ports whose names and types are the same for every design."""
    source, sink = design.input, design.output
    into, out = (max(WIDE, words(stream) * 32) for stream in (source, sink))
    body = "".join(f"    {line}\n" for line in verilog(design, instance).splitlines())
    return (
        "// SPDX-License-Identifier: Apache-2.0\n"
        f"module harness(input clock, input reset_n, input [{into - 1}:0] in_data, input in_valid, output in_ready,\n"
        f"               output [{out - 1}:0] out_data, output out_valid, input out_ready);\n"
        f"{body}"
        f"    assign {CLOCK} = clock;\n    assign {RESET} = reset_n;\n"
        f"    assign {source.name}_TDATA = in_data[{source.beat_bits - 1}:0];\n"
        f"    assign {source.name}_TVALID = in_valid;\n    assign in_ready = {source.name}_TREADY;\n"
        f"    assign out_data = {sink.name}_TDATA;\n"
        f"    assign out_valid = {sink.name}_TVALID;\n    assign {sink.name}_TREADY = out_ready;\n"
        "endmodule\n"
    )


def _ports(design: Design) -> list[tuple[str, str, int]]:
    """(name, VHDL mode, bits; 0 for a single wire) of every port, in order."""
    ports = [(CLOCK, "in", 0), (RESET, "in", 0)]
    for stream, forward, back in ((design.input, "in", "out"), (design.output, "out", "in")):
        ports.append((f"{stream.name}_TDATA", forward, stream.beat_bits))
        ports.append((f"{stream.name}_TVALID", forward, 0))
        ports.append((f"{stream.name}_TREADY", back, 0))
    return ports


def _vhdl_type(bits: int) -> str:
    return f"std_logic_vector({bits - 1} downto 0)" if bits else "std_logic"
