# SPDX-License-Identifier: Apache-2.0
"""Nodes of the network by themselves: `qap_alone.h` calls the very layers that the top function calls, one node's at a
time, so that a node can be run on inputs that no frame of the whole network would give it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from qap2fpga.backends.hls4ml.model import Part
from qap2fpga.hw.design import Alone
from qap2fpga.system.files import write_atomically

HEADER = "qap_alone.h"
# What a frame's values are handed over in.
MOST_BITS = 63
CLONE = "Clone"
TEXT = """\
// Nodes of the network by themselves, by the calls of the top function.

#ifndef QAP_ALONE_H_
#define QAP_ALONE_H_

// Gives what the node `which` makes of `values`; false if another number of values came out.
inline bool qap_alone(int which, const long long *values, long long *results) {{
    switch (which) {{
{cases}    }}
    return false;
}}

#endif
"""


def write(model: Any, parts: Sequence[Part], folder: Path) -> tuple[Alone, ...]:
    """Write the header of `model`, hls4ml's, into the project in `folder`, and return which nodes it can run."""
    chosen = [one for one in parts if max(one.source.bits, one.result.bits) <= MOST_BITS]
    cases = "".join(_case(number, model, one) for number, one in enumerate(chosen))
    write_atomically(folder / HEADER, TEXT.format(cases=cases))
    return tuple(Alone(one.node, one.source.shape.size, one.result.shape.size) for one in chosen)


def _case(number: int, model: Any, part: Part) -> str:
    layers = list(_layers(model, part))[::-1]
    source, result = layers[0].get_input_variable(), layers[-1].get_output_variable()
    lines = [f"{source.definition_cpp()};"]
    for layer in layers:
        calls = layer.get_attr("function_cpp") or []
        calls = [calls] if isinstance(calls, str) else list(calls)
        lines += [f"{layer.get_output_variable().definition_cpp()};", *calls]
    lines[1:1] = [f"qap_put({source.name}, values, {part.source.shape.size});"]
    lines.append(f"return qap_take({result.name}, results, {part.result.shape.size}) && qap_empty({source.name});")
    return f"    case {number}: {{\n" + "".join(f"        {line}\n" for line in lines) + "    }\n"


def _layers(model: Any, part: Part) -> Iterator[Any]:
    """Yield hls4ml's layers of a node, the last first. Copies of a stream, for several readers, are its source."""
    layer = model.graph[part.result.layer]
    while layer.name != part.source.layer and layer.class_name != CLONE:
        yield layer
        layer = layer.get_input_node()
