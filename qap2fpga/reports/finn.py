# SPDX-License-Identifier: Apache-2.0
"""The JSON reports of FINN. What one is, its name says: FINN writes neither its version nor the stage into them.

Meaning of the fields: FINN's `builder/build_dataflow_steps.py`, `util/vivado.py` and `util/rtlsim.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from qap2fpga.hw.design import Stage
from qap2fpga.hw.resources import NAMES
from qap2fpga.reports.result import Cells, Parsed, Refused, agreed, count, decimal, total

DSP = ("DSP", "DSP48E", "DSP48")
OTHER = {
    "estimate_layer_config_alternatives": "estimates of configurations that FINN did not choose",
    "op_and_param_counts": "operations and parameters of the network, no hardware",
    "time_per_step": "how long FINN took",
    "final_hw_config": "the folding and FIFO depths that FINN used",
    "auto_folding_config": "the folding that FINN chose",
    "applied_folding_config": "the folding that FINN applied",
    "folding_config": "a folding",
    "template_specialize_layers_config": "choices for layers",
    "fifo_sizing": "depths of FIFOs",
    "estimate_power_empirical": "an estimate of power",
}


def read_json(name: str, content: object) -> Parsed:
    """A report by its file name. Raises `Refused` for one without numbers of hardware."""
    stem = name.removesuffix(".json")
    for other, what in OTHER.items():
        if re.fullmatch(rf"{other}(_.*)?", stem):
            raise Refused(f"finn-{other.replace('_', '-')}", f"{name} is {what}: nothing was measured", whole=True)
    readers: tuple[tuple[str, Callable[[str, dict[str, Any]], Parsed]], ...] = (
        (r"estimate_layer_resources_hls(_.*)?", _hls),
        (r"estimate_layer_resources(_.*)?", _estimate),
        (r"post_synth_resources_dcp(_.*)?", _checkpoint),
        (r"post_synth_resources(_.*)?", _post_synthesis),
        (r"estimate_layer_cycles(_.*)?", _cycles),
        (r"estimate_network_performance(_.*)?", _performance),
        (r"rtlsim_performance(_.*)?", _simulation),
        (r"ooc_synth_and_timing(_.*)?", _out_of_context),
    )
    for pattern, reader in readers:
        if re.fullmatch(pattern, stem):
            kind = "finn-" + re.sub(r"\(.*", "", pattern).replace("_", "-")
            if not isinstance(content, dict) or not content:
                raise Refused(kind, f"{name} is not a table of values")
            return reader(kind, content)
    raise Refused("unknown", f"{name} is not the name of a report of FINN; JSON reports are known by their names")


def _layers(kind: str, content: dict[str, Any], own: str) -> tuple[Cells, dict[str, Cells], str]:
    """The total (stated under `own`, else summed), the layers, and a note if it was summed."""
    layers = {name: _cells(kind, name, values) for name, values in content.items() if name != own}
    if own in content:
        return _cells(kind, own, content[own]), layers, ""
    return total(layers.values()), layers, "summed here, FINN states no total"


def _check_total(kind: str, resources: Cells, layers: dict[str, Cells]) -> None:
    """FINN's own total is the sum of its layers; where it is not, layers are missing."""
    summed = total(layers.values())
    for name in (*NAMES, "uram"):
        stated, added = getattr(resources, name), getattr(summed, name)
        if stated is not None and added is not None and stated != added:
            raise Refused(kind, f"the total of {name} is {stated}, but the layers sum to {added}")


def _cells(kind: str, layer: str, values: object) -> Cells:
    if not isinstance(values, dict):
        raise Refused(kind, f"'{layer}' is not a table of resources")
    cells = {name: count(values.get(word), kind, f"{word} of '{layer}'")
             for name, word in (("lut", "LUT"), ("ff", "FF"), ("uram", "URAM"))}  # fmt: skip
    dsp = agreed((count(values.get(word), kind, f"{word} of '{layer}'") for word in DSP), kind, f"DSP of '{layer}'")
    resources = Cells(**cells, dsp=dsp, bram18=_block_ram(kind, layer, values), lutram=_memory(kind, layer, values))
    if resources == Cells():
        raise Refused(kind, f"'{layer}' states no resources")
    return resources


def _memory(kind: str, layer: str, values: dict[str, Any]) -> int | None:
    """FINN's 'LUTRAM' is Vivado's 'LUT as Memory', shift registers included; 'SRL' alone is less than that."""
    return count(values.get("LUTRAM"), kind, f"LUTRAM of '{layer}'")


def _block_ram(kind: str, layer: str, values: dict[str, Any]) -> int | None:
    """In 18-kbit halves. 'BRAM_18K' beside 'BRAM_36K' counts the RAMB18 only, without it all halves. 'BRAM' alone
    is no number to use: some versions of FINN's scripts count cells of either size, others round tiles."""
    small, big = (count(values.get(word), kind, f"{word} of '{layer}'") for word in ("BRAM_18K", "BRAM_36K"))
    return None if small is None else small + 2 * (big or 0)


def _estimate(kind: str, content: dict[str, Any]) -> Parsed:
    resources, layers, note = _layers(kind, content, "total")
    _check_total(kind, resources, layers)
    return Parsed(kind, "finn", stage=Stage.ESTIMATE, resources=resources, parts=layers, note=note)


def _hls(kind: str, content: dict[str, Any]) -> Parsed:
    resources, layers, note = _layers(kind, content, "total")
    _check_total(kind, resources, layers)
    notes = "; ".join(one for one in ("the layers made by HLS only", note) if one)
    return Parsed(kind, "finn", stage=Stage.HLS, resources=resources, parts=layers, note=notes)


def _post_synthesis(kind: str, content: dict[str, Any]) -> Parsed:
    """Whatever its name, FINN writes it from the implemented design; only '(top)' includes the shell."""
    return _hierarchy(kind, content, Stage.ROUTED, "by FINN from the routed design, with the shell around it")


def _checkpoint(kind: str, content: dict[str, Any]) -> Parsed:
    """Of a checkpoint of the stitched design, synthesized out of context."""
    return _hierarchy(kind, content, Stage.SYNTHESIS, "by FINN, synthesized out of context")


def _hierarchy(kind: str, content: dict[str, Any], stage: Stage, note: str) -> Parsed:
    if "(top)" not in content:
        raise Refused(kind, "there is no '(top)', so which cells are counted is not clear")
    resources, layers, _ = _layers(kind, content, "(top)")
    note += "; the file itself states no stage"
    return Parsed(kind, "finn", stage=stage, resources=resources, parts=layers, note=note)


def _cycles(kind: str, content: dict[str, Any]) -> Parsed:
    """The slowest layer sets the interval."""
    cycles = [count(value, kind, f"cycles of '{layer}'") for layer, value in content.items()]
    known = [value for value in cycles if value is not None]
    if len(known) != len(cycles):
        raise Refused(kind, "the cycles of a layer are not stated")
    note = "the slowest layer sets the interval"
    return Parsed(kind, "finn", stage=Stage.ESTIMATE, interval_min=max(known), interval_max=max(known), note=note)


def _performance(kind: str, content: dict[str, Any]) -> Parsed:
    latency = count(content.get("critical_path_cycles"), kind, "the latency")
    interval = count(content.get("max_cycles"), kind, "the interval")
    if latency is None or interval is None:
        raise Refused(kind, "the latency or the interval is not stated")
    time = decimal(content.get("estimated_latency_ns", ""), kind, "the latency")
    return Parsed(
        kind, "finn", stage=Stage.ESTIMATE, target_ns=round(time / latency, 6) if time and latency else None,
        latency_min=latency, latency_max=latency, interval_min=interval, interval_max=interval,
        note="the latency is the sum over all layers: an upper bound",
    )  # fmt: skip


def _simulation(kind: str, content: dict[str, Any]) -> Parsed:
    if failed := [word for word in ("TIMEOUT", "UNFINISHED_INS", "UNFINISHED_OUTS") if content.get(word)]:
        raise Refused(kind, f"the simulation did not end ({', '.join(failed)}), so it measured nothing", whole=True)
    latency = count(content.get("latency_cycles"), kind, "the latency")
    if latency is None:
        raise Refused(kind, "the latency is not stated")
    frames = count(content.get("completed_output_frames", content.get("N")), kind, "the number of frames")
    clock = decimal(content.get("fclk[mhz]", ""), kind, "the clock")
    # Behind a single frame stands no second one to measure the interval to; FINN writes a number all the same.
    steady = frames is not None and frames >= 2 and content.get("interval_is_steady_state", True) is True
    interval = count(content.get("interval_cycles"), kind, "the interval") if steady else None
    number = "an unknown number of" if frames is None else frames
    note = f"RTL simulation of {number} frames" + ("" if steady else ", the interval is not measured")
    return Parsed(
        kind, "finn", latency_min=latency, latency_max=latency, interval_min=interval, interval_max=interval,
        target_ns=round(1000 / clock, 6) if clock else None, note=note,
    )  # fmt: skip


def _out_of_context(kind: str, content: dict[str, Any]) -> Parsed:
    """Vivado's numbers of the design alone: FINN places and routes it and computes fmax from the slack."""
    resources = _cells(kind, "the design", content)
    if resources.lut is None:
        raise Refused(kind, "no LUTs are stated")
    wns = decimal(content.get("WNS", ""), kind, "WNS")
    target = decimal(content.get("clk_period_ns", ""), kind, "the clock period")
    fmax = decimal(content.get("fmax_mhz", ""), kind, "fmax")
    if target is None and fmax and wns is not None:
        target = round(1000 / fmax + wns, 6)
    period = round(target - wns, 6) if target is not None and wns is not None else None
    version = content.get("vivado_version")
    note = "by FINN, out of context; the file itself states no stage"
    if resources.bram18 is None and "BRAM" in content:
        note += f"; block RAM: {content['BRAM']}, of which size is not stated"
    return Parsed(
        kind, "vivado", str(version) if version else None, Stage.ROUTED, resources=resources, target_ns=target,
        period_ns=period, wns_ns=wns, note=note,
    )  # fmt: skip
