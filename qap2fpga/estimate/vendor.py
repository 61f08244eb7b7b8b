# SPDX-License-Identifier: Apache-2.0
"""What C synthesis will state of the dense layers of an hls4ml project, from fits to published runs.

`flows/hls4ml/calibration.yaml` holds the fits (made by `benchmarks/fit_vendor.py`) and, where fewer than 30
independent designs are known, ratios that were observed: they are told, and nothing is predicted with them. The
published runs are of single dense layers that are not pruned. So a layer like these has a prediction that a report can
be compared with; any other has a wide one, which says what is unlike; and a whole network, whose requantizers no
published run has, has the sum of its layers and no more. These are estimates of C synthesis, never Vivado's numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import yaml

from qap2fpga.backends.hls4ml.counts import KernelEstimate
from qap2fpga.estimate.calibration import OUTSIDE
from qap2fpga.estimate.features import Hls4mlLayer, hls4ml
from qap2fpga.estimate.prediction import Csynth, Interval, LayerPrediction
from qap2fpga.hw.design import NodeEstimate
from qap2fpga.hw.resources import NAMES
from qap2fpga.system.errors import QapError
from qap2fpga.system.files import shipped

SCHEMA = "vendor 2"
BACKEND = "hls4ml"
# The measured layers have random weights, which nobody stated. One of 2^bits of such weights is 0; a layer with more
# than so many times that is a pruned one.
RANDOM_ZEROS = 2
# hls4ml's name of the layers that were measured.
MEASURED = "Dense"


@lru_cache(maxsize=1)
def load() -> Mapping[str, Any]:
    """The shipped file's content."""
    path = shipped("flows") / BACKEND / "calibration.yaml"
    content = yaml.safe_load(path.read_text())
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise QapError(f"{path} is not a calibration of this version", "python benchmarks/fit_vendor.py")
    return content


def predict(nodes: Sequence[NodeEstimate], family: str, clock_ns: float) -> Csynth:
    """Of a project whose parts are `nodes`, as in the backend's `Expectation`, for a device of `family`."""
    content = load()
    kernels = [node for node in nodes if isinstance(node, KernelEstimate)]
    layers = tuple(_layer(content, node, family, clock_ns) for node in kernels)
    total = {name: interval for name in NAMES if (interval := _total(content, name, layers)) is not None}
    dense = [node for node in kernels if node.kind == MEASURED]
    ways = {(node.strategy, node.reuse_factor > 1) for node in dense}
    errors = dict.fromkeys(text for node in dense for text in _errors(content, _written(node)))
    # What was observed is of networks of dense layers.
    alike = content["observed"] if len(dense) == len(kernels) else ()
    observed = _sentences(one for one in alike if _concerns(one, ways))
    return Csynth(layers=layers, total=total, errors=tuple(errors), observed=observed)


def raw(coefficients: Mapping[str, float], layer: Hls4mlLayer) -> float:
    """The fit's value: the sum of coefficient times feature."""
    features = hls4ml(layer)
    return sum(value * features[name] for name, value in coefficients.items())


def _layer(content: Mapping[str, Any], node: KernelEstimate, family: str, clock_ns: float) -> LayerPrediction:
    if node.kind != MEASURED:
        none = dict.fromkeys(NAMES, f"no layer of the kind {node.kind} is among the measured designs")
        return LayerPrediction(
            name=node.name, layer=node.layer, predictions={}, outside=(), missing=none, calibrated=False
        )
    layer = _written(node)
    predictions, outside, missing = {}, dict[str, None](), {}
    for name in NAMES:
        fit = _fit(content, name, layer)
        if fit is None:
            missing[name] = _known_designs(content, layer)
            continue
        beyond = _beyond(fit, node, family, clock_ns)
        outside.update(dict.fromkeys(beyond))
        if name not in fit["always"]:
            predictions[name] = _one(fit["resources"][name], layer, _scale(fit, node), beyond)
        elif beyond:
            missing[name] = f"{fit['always'][name]:g} in all measured layers, which this one is unlike"
        else:
            predictions[name] = Interval.exact(float(fit["always"][name]))
    return LayerPrediction(
        name=node.name, layer=node.layer, predictions=predictions, outside=tuple(outside), missing=missing,
        calibrated=bool(predictions) and not outside,
    )  # fmt: skip


def _written(node: KernelEstimate) -> Hls4mlLayer:
    return Hls4mlLayer(node.inputs, node.outputs, node.weight_bits, node.reuse_factor, node.strategy)


def _errors(content: Mapping[str, Any], layer: Hls4mlLayer) -> Iterator[str]:
    """How far off each fit for layers written as `layer` is, on runs of the layer's strategy."""
    for name in NAMES:
        fit = _fit(content, name, layer)
        if fit is not None and name in fit["resources"]:
            row = fit["resources"][name]["cross_validation"]["by_strategy"][layer.strategy]
            yield (
                f"{name.upper()} of layers of strategy '{layer.strategy}' whose shape was not fitted: mean error "
                f"{row['mean_error_percent']:g} %, largest {row['largest_error_percent']:g} %, {row['designs']} "
                f"designs of {row['shapes']} shapes; fitted to {fit['designs']} designs of strategies "
                f"{' and '.join(fit['strategies'])}"
            )


def _fit(content: Mapping[str, Any], resource: str, layer: Hls4mlLayer) -> Mapping[str, Any] | None:
    """The fit for layers written as `layer` is."""
    for fit in content["fits"]:
        shared = fit["range"]["reuse_factor"][1] > 1
        knows = resource in fit["resources"] or resource in fit["always"]
        if knows and layer.strategy in fit["strategies"] and shared == (layer.reuse_factor > 1):
            return dict(fit)
    return None


def _known_designs(content: Mapping[str, Any], layer: Hls4mlLayer) -> str:
    """How many there are of layers written as `layer` is, where these are too few."""
    few = [one["independent_designs"] for one in content["observed"]
           if (one.get("strategy"), one.get("shared")) == (layer.strategy, layer.reuse_factor > 1)]  # fmt: skip
    how = f"strategy '{layer.strategy}', reuse factor {'above 1' if layer.reuse_factor > 1 else '1'}"
    return f"{max(few, default=0)} designs measured with {how}, 30 are needed"


def _beyond(fit: Mapping[str, Any], node: KernelEstimate, family: str, clock_ns: float) -> list[str]:
    """What of a layer is unlike the measured ones."""
    beyond = []
    for name, (least, most) in fit["range"].items():
        value = clock_ns if name == "clock_ns" else getattr(node, name)
        if not least <= value <= most:
            span = f"{least:g}" if least == most else f"{least:g} to {most:g}"
            beyond.append(f"{name.replace('_', ' ')} {value:g}, measured {span}")
    if family != fit["family"]:
        beyond.append(f"device family {family}, measured {fit['family']}")
    zeros = 1 - node.nonzeros / node.products
    if zeros > RANDOM_ZEROS / 2**node.weight_bits:
        beyond.append(f"{100 * zeros:.0f} % zeros, pruned layers are not among the measured designs")
    return beyond


def _scale(fit: Mapping[str, Any], node: KernelEstimate) -> float:
    """Bits in the layer's non-zero products, by those of an unpruned layer with inputs as wide as the measured ones."""
    density = node.nonzeros / node.products
    return float(density * node.input_bits / fit["range"]["input_bits"][1])


def _one(part: Mapping[str, Any], layer: Hls4mlLayer, scale: float, beyond: Sequence[str]) -> Interval:
    """A fitted number. Its value is that of an unpruned layer with inputs as wide as the measured ones; outside of what
    was measured an end also is where cost would go with the bits in the products (`scale`), as nothing shows that it
    does, nor that it does not."""
    value = raw(part["coefficients"], layer)
    # The interval is a multiple of a quantile already; outside it is that of other calibrations.
    wider = max(1.0, OUTSIDE / part["cross_validation"]["interval_widened_by"]) if beyond else 1.0
    spread = math.exp(part["interval"] * wider)
    low, high = max(0.0, (value + 1) / spread - 1), (value + 1) * spread - 1
    if beyond:
        low, high = low * min(1.0, scale), high * max(1.0, scale)
    return Interval(value, low, high, tuple(beyond))


def _total(content: Mapping[str, Any], name: str, layers: Sequence[LayerPrediction]) -> Interval | None:
    """The sum of all layers, None where one of them has no prediction."""
    parts = [one.predictions.get(name) for one in layers]
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    value, low, high = (sum(getattr(part, end) for part in known) for end in ("value", "low", "high"))
    beyond = list(dict.fromkeys(text for part in known for text in part.outside))
    whole = next((one for one in content["observed"] if one.get("network") == name), None)
    if whole is not None:
        low, high = low * whole["least"], high * whole["most"]
    networks = f"whole networks: {whole['independent_designs'] if whole else 0} measured, 30 are needed"
    return Interval(value, low, high, (*beyond, networks))


def _concerns(one: Mapping[str, Any], ways: set[tuple[str, bool]]) -> bool:
    """Whether a ratio says something of a project whose layers are written in these `ways`."""
    if "strategy" in one:
        return (one["strategy"], one["shared"]) in ways
    return "network" in one or "sum" in one or (one.get("stages", False) and one["n"] > 1)


def _sentences(ratios: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """One sentence on all that was observed of one kind of designs."""
    sentences: dict[str, list[str]] = {}
    for one in ratios:
        ratio = f"{one['of']} / {one['to']}" if one["to"] else one["of"]
        span = f"{one['least']:g}" if one["least"] == one["most"] else f"{one['least']:g} to {one['most']:g}"
        sentences.setdefault(one["kind"], []).append(f"{ratio} {span} (n = {one['independent_designs']})")
    return tuple(f"observed only, of {kind}: {', '.join(texts)}" for kind, texts in sentences.items())
