# SPDX-License-Identifier: Apache-2.0
"""The hls4ml backend: what is generated computes the network's integers, and says how many products are left."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from qap2fpga.backends.hls4ml import code, counts, limits, workarounds
from qap2fpga.backends.hls4ml.backend import Hls4mlBackend
from qap2fpga.backends.hls4ml.kernels import Written, kernels
from qap2fpga.backends.hls4ml.options import Hls4mlOptions
from qap2fpga.hw import boards
from qap2fpga.hw.design import HlsProject
from qap2fpga.ir.comparison import Simulation
from qap2fpga.ir.functions import Step
from qap2fpga.ir.graph import Graph, chain
from qap2fpga.ir.nodes import Requantizer
from qap2fpga.ir.units import dense
from qap2fpga.ir.vectors import extremes, random_vectors
from qap2fpga.ir.windowed import Weighted
from qap2fpga.passes.compaction import compact
from qap2fpga.system.codec import tree
from qap2fpga.system.errors import QapError
from qap2fpga.verify import csim
from qap2fpga.verify.compare import Mismatch
from qap2fpga.verify.engine import Reference
from tests.support.branches import branching
from tests.support.graphs import residual, small_cnn
from tests.support.networks import random_model
from tests.unit.frontend.test_lower import lowered

PYNQ = boards.load("pynq-z2")
# Wide enough where half of the weights or more are there.
NARROW = (8, 8, 6, 4)


def small(bits: int, sparsity: float, *, power_of_two: bool = False, widths=(8, 12, 10, 4)) -> tuple:
    """(lowered, compacted) random network; the first seed of which no layer is pruned away."""
    for seed in range(100):
        try:
            whole = lowered(random_model(seed, widths=widths, bits=bits, sparsity=sparsity, power_of_two=power_of_two))
            return whole, compact(whole)
        except QapError:
            continue
    raise AssertionError("every seed is pruned away")


def stimuli(network: Graph, count: int = 400) -> np.ndarray:
    return np.concatenate([random_vectors(network, count, 1), extremes(network)])


def made(network: Graph, folder: Path, **options) -> HlsProject:
    options = Hls4mlOptions(**options)
    return Hls4mlBackend().generate(network, PYNQ, folder / "hls4ml", options, random_vectors(network, 5, 2))


def compared(project: HlsProject, network: Graph, folder: Path) -> Simulation:
    """The C simulation of `project`, on all stimuli; each node by itself is compared, too."""
    vectors = stimuli(network)
    expected = Reference(network, project.output_kind).outputs(vectors)
    found, alone = csim.CSimulation(project, network, folder / "csim").simulate(vectors, expected)
    assert alone.vectors > 0 == alone.mismatches
    assert ("left to the vectors" in alone.compared) == (project.strategy == "distributed_arithmetic")
    return found


def run(network: Graph, folder: Path, **options) -> Simulation:
    project = made(network, folder, **options)
    return compared(project, network, folder)


@pytest.mark.slow
@pytest.mark.parametrize("power_of_two", [True, False], ids=["po2", "arbitrary"])
@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8])
def test_c_simulation_is_exact(bits, sparsity, power_of_two, tmp_path):
    widths = NARROW if sparsity <= 0.5 else (8, 12, 10, 4)
    _, network = small(bits, sparsity, power_of_two=power_of_two, widths=widths)
    result = run(network, tmp_path)
    assert result.mismatches == 0
    assert result.vectors == len(stimuli(network))


@pytest.mark.slow
@pytest.mark.parametrize("bits, factor", [(1, 2), (3, 4), (6, 3), (6, 24), (8, 2)])
def test_resource_unrolled_is_exact_and_its_products_are_counted(bits, factor, tmp_path):
    _, network = small(bits, 0.5, widths=(8, 12, 12, 4))
    project = made(network, tmp_path, strategy="resource_unrolled", reuse_factor=factor)
    for layer, entry in zip(network.layers, project.details["layers"], strict=True):
        assert entry["in_source"] == entry["after_compaction"] == layer.nonzeros
    assert project.interval_cycles == max(entry["reuse_factor"] for entry in project.details["layers"])
    assert compared(project, network, tmp_path).mismatches == 0


@pytest.mark.slow
@pytest.mark.xdist_group("da4ml")  # it compiles itself, once a process
@pytest.mark.parametrize("bits", [1, 2, 4, 6])
def test_distributed_arithmetic_is_exact_without_products(bits, tmp_path):
    _, network = small(bits, 0.5, widths=NARROW)
    project = made(network, tmp_path, strategy="distributed_arithmetic")
    assert all(entry["in_source"] == 0 and entry["additions"] > 0 for entry in project.details["layers"])
    assert compared(project, network, tmp_path).mismatches == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["class", "accumulators"])
def test_output_kinds(kind, tmp_path):
    _, network = small(4, 0.5, widths=NARROW)
    assert run(network, tmp_path, output_kind=kind).mismatches == 0


def _shifted(match: re.Match) -> str:
    """A table of offsets, each a quarter of what its bits hold higher."""
    size = 1 << int(match[2])
    values = ", ".join(str((int(value) + size // 4) % size) for value in match[4].split(", "))
    return f"{match[1]}{match[2]}{match[3]}{values}}}"


@pytest.mark.slow
def test_a_flipped_weight_a_changed_threshold_and_a_changed_offset_name_their_layer(tmp_path):
    """Edited in the generated files, as an HLS tool would read them."""
    _, network = small(4, 0.5)
    project = made(network, tmp_path)
    firmware = project.folder / "firmware"
    shutil.copytree(firmware, tmp_path / "whole")

    def fails(path: Path, pattern: str, change) -> str:
        text = path.read_text()
        edited, times = re.subn(pattern, change, text, count=1, flags=re.DOTALL)
        assert times == 1 and edited != text
        path.write_text(edited)
        with pytest.raises(Mismatch) as caught:
            compared(project, network, tmp_path)
        path.write_text(text)
        return str(caught.value)

    weights = sorted((firmware / "weights").glob("w*.h"), key=lambda path: int(path.stem[1:]))
    said = fails(weights[1], r"(= \{(?:0, )*)(-?)([1-9])", lambda m: m[1] + ("" if m[2] else "-") + m[3])
    assert f"layer {network.layers[1].name} is wrong first: its accumulator in vector" in said
    parameters = firmware / "parameters.h"
    first = f"layer {network.layers[0].name} is wrong first: its activation in vector"
    # A threshold, the offsets b of one channel, and its shift f.
    assert first in fails(parameters, r"(thresholds\[\d+\] = {)(\d+)", lambda m: f"{m[1]}{int(m[2]) * 3 // 4}")
    assert first in fails(parameters, r"(static const ap_uint<)(\d+)(> offsets\[\d+\] = {)(.*?)}", _shifted)
    assert first in fails(parameters, r"\(sum >> (\d+)\)", lambda m: f"(sum >> {int(m[1]) + 1})")
    last = network.layers[-1].activation
    said = fails(
        parameters,
        r"(qap::affine<\d+, \d+>\(x, -?\d+L*, )(-?\d+)",
        lambda m: f"{m[1]}{int(m[2]) + (2 << last.shift)}",
    )
    assert f"layer {network.layers[-1].name} is wrong first: its logit in" in said
    assert compared(project, network, tmp_path).mismatches == 0


@pytest.mark.slow
@pytest.mark.parametrize("io_type", ["parallel", "stream"])
def test_what_no_vector_meets_is_found_in_a_node_by_itself(io_type: str, tmp_path: Path) -> None:
    """One vector goes through the network; a fault elsewhere is found all the same, by node and input."""
    graph = small_cnn()
    project = made(graph, tmp_path, io_type=io_type)
    vector = np.clip(np.zeros((1, graph.inputs), np.int64), graph.input.low, graph.input.high)
    engine = csim.CSimulation(project, graph, tmp_path / "csim")
    expected = Reference(graph, project.output_kind).outputs(vector)
    alone = engine.simulate(vector, expected)[1]
    kinds = [isinstance(graph[one.node], Weighted) for one in project.alone]
    assert alone.compared == (
        f"C++ of each node by itself: {kinds.count(False)} requantizers over their whole ranges and "
        f"{kinds.count(True)} layers of products at both ends of every input"
    )
    assert len(project.alone) == len([one for one in graph.nodes if isinstance(one, (Weighted, Requantizer))])
    parameters = project.folder / "firmware" / "parameters.h"
    text = parameters.read_text()
    # What large sums become, of which a frame of zeros has none.
    edited = re.sub(r"(if \(x >= \d+\) result = )3;", r"\g<1>2;", text, count=1)
    assert edited != text
    parameters.write_text(edited)
    with pytest.raises(Mismatch, match=r"node \S+ by itself, its source = \d+: vector \d+, channel \d+: found"):
        engine.simulate(vector, expected)
    parameters.write_text(text)
    weights = project.folder / "firmware" / "weights" / "w3.h"
    header = weights.read_text()
    weights.write_text(header.replace("= {2,", "= {3,"))
    assert weights.read_text() != header
    with pytest.raises(Mismatch, match=r"node \S+ by itself, input \d+ = -?\d+: vector"):
        engine.simulate(vector, expected)


@pytest.mark.slow
@pytest.mark.parametrize("io_type", ["parallel", "stream"])
@pytest.mark.parametrize(
    "graph", [small_cnn(), compact(residual()), *(branching(seed, nodes=5) for seed in (4, 20))],
    ids=["cnn", "residual", "drawn4", "drawn20"],
)  # fmt: skip
def test_networks_of_frames_are_exact_at_every_node(graph: Graph, io_type: str, tmp_path: Path) -> None:
    project = made(graph, tmp_path, io_type=io_type)
    assert [trace.node for trace in project.traces] == [node.name for node in graph.nodes[1:]]
    assert compared(project, graph, tmp_path).mismatches == 0
    for node, entry in zip(graph.weighted, project.details["layers"], strict=True):
        assert entry["in_source"] == entry["after_compaction"] == node.nonzeros, "zeros are constants that vanish"
    expected = Hls4mlBackend().expect(graph, PYNQ, Hls4mlOptions(io_type=io_type))
    assert expected.interval_cycles == project.interval_cycles
    assert [node.layer for node in expected.nodes] == [node.name for node in graph.weighted]


@pytest.mark.slow
@pytest.mark.parametrize(
    "io_type, strategy, factor",
    [
        ("stream", "latency", 3),
        ("stream", "resource", 2),
        ("parallel", "resource", 2),
        ("stream", "resource_unrolled", 3),
    ],
)
def test_strategies_of_convolutions_are_exact(io_type: str, strategy: str, factor: int, tmp_path: Path) -> None:
    graph = compact(residual())
    project = made(graph, tmp_path, io_type=io_type, strategy=strategy, reuse_factor=factor)
    assert compared(project, graph, tmp_path).mismatches == 0
    conv, pool, end = project.details["layers"]
    assert conv["strategy"] == strategy and pool["strategy"] == "latency" and end["strategy"] == strategy
    expected = graph["conv"].weights.size if strategy == "resource" else graph["conv"].nonzeros
    assert conv["in_source"] == expected
    told = " ".join(project.warnings)
    assert ("layer mean: hls4ml knows 'latency' alone" in told) == (strategy != "latency")
    assert ("layer conv: its 6 zeros of 36 weights are not dropped" in told) == (strategy != "latency")


@pytest.mark.slow
@pytest.mark.xdist_group("da4ml")
@pytest.mark.parametrize("io_type", ["parallel", "stream"])
def test_convolutions_without_products_are_exact(io_type: str, tmp_path: Path) -> None:
    graph = compact(residual())
    project = made(graph, tmp_path, io_type=io_type, strategy="distributed_arithmetic")
    assert compared(project, graph, tmp_path).mismatches == 0
    assert [entry["in_source"] for entry in project.details["layers"]] == [0, 8, 0]


@pytest.mark.slow
@pytest.mark.parametrize("io_type", ["parallel", "stream"])
def test_a_fault_in_a_frame_names_node_position_channel_and_vector(io_type: str, tmp_path: Path) -> None:
    graph = small_cnn()
    project = made(graph, tmp_path, io_type=io_type)
    top = project.folder / "firmware" / "qap2fpga.cpp"
    text = top.read_text()
    pad = re.search(r"(qap::pad<.*, )0LL>", text)
    assert pad is not None
    top.write_text(text.replace(pad[0], f"{pad[1]}1LL>"))
    with pytest.raises(
        Mismatch, match=r"layer conv1 is wrong first: its accumulator in vector \d+, row 0, column 0, ch"
    ):
        compared(project, graph, tmp_path)
    pool = re.search(r"qap::largest<(.*?), 6, 5, 3, 2, 2,", text)
    assert pool is not None
    top.write_text(text.replace(pool[0], f"qap::largest<{pool[1]}, 6, 5, 3, 2, 1,"))
    with pytest.raises(
        Mismatch, match=r"layer pool is wrong first: its result in vector \d+, row \d, column \d, channel"
    ):
        compared(project, graph, tmp_path)
    top.write_text(text)
    larger = replace(project.output, elements=project.output.elements + project.output.lanes)
    if io_type == "stream":
        with pytest.raises(QapError, match="did not become"):
            compared(replace(project, output=larger), graph, tmp_path)


def test_zeros_are_counted_in_the_source_and_not_from_the_weights(tmp_path):
    whole, network = small(6, 0.8)
    project = made(network, tmp_path)
    for layer, whole_layer, entry in zip(network.layers, whole.layers, project.details["layers"], strict=True):
        assert entry["after_compaction"] == entry["in_source"] == layer.nonzeros < whole_layer.weights.size
    header = project.folder / "firmware" / "weights" / "w2.h"
    header.write_text(re.sub(r"= \{", "= {0, ", header.read_text()).replace("0, 0, ", "0, 7, ", 1))
    written = Written(kernels(network, stream=False)[0], "dense0", "latency", 1)
    (first,) = counts.count(project.folder, [(written, 2, 2)])
    assert first.in_source == network.layers[0].nonzeros + 1


def test_zeros_that_are_not_dropped_are_warned_of(tmp_path):
    random = np.random.default_rng(3)
    values = np.where(random.random((16, 16)) < 0.2, random.integers(1, 8, (16, 16)), 0)
    layer = dense("fc7", values, Step(np.full((16, 1), 20)), 4, 4)
    _, network = small(2, 0.0)
    network = chain((layer,), replace(network.input, low=-8, high=7), network.output_scale)
    project = made(network, tmp_path, strategy="resource_unrolled", reuse_factor=4)
    assert any("fc7" in text and "are not dropped at reuse factor 4" in text for text in project.warnings)
    assert not made(network, tmp_path).warnings


def test_weights_of_two_bits_that_reach_minus_two_get_a_third(tmp_path):
    """hls4ml takes `int<2>` for ternary and computes -2 as +1."""
    assert workarounds.weight_bits(-2, 1, 2) == 3
    assert workarounds.weight_bits(-1, 1, 2) == 2
    layer = dense("fc", np.array([[-2, 1], [1, -2]]), Step(np.array([[-4, 0, 5], [-3, 1, 2]])), 2, 4)
    _, network = small(2, 0.0)
    network = chain((layer,), replace(network.input, low=-8, high=7), network.output_scale)
    assert run(network, tmp_path).mismatches == 0


def test_channels_that_never_or_always_pass_a_threshold_and_an_output_that_is_a_sign(tmp_path):
    rows = np.array([[-500, -400, 600], [-500, 700, 800], [0, 0, 3], [900, 900, 900]])
    layer = dense("fc", np.array([[1, 2, -3, 0], [0, -2, 1, 0]]), Step(rows, -3, 2), 4, 4)
    _, network = small(2, 0.0)
    network = chain((layer,), replace(network.input, low=-8, high=7), network.output_scale)
    text = code.requantize("name", network["fc"], layer.activation, network.node_ranges["fc"])
    assert "res[1] = -1 + 2 * ap_int<1>(0);" in text
    assert run(network, tmp_path).mismatches == 0


def test_a_project_is_stored_and_restored_whole(tmp_path):
    _, network = small(3, 0.5, widths=(4, 4, 3))
    project = made(network, tmp_path)
    stored = json.loads(json.dumps(asdict(project), default=str))
    assert tree(HlsProject, {**stored, "folder": project.folder}, "", "a project") == project


def test_thresholds_that_are_on_no_line_are_refused_by_name():
    row = np.sort(np.random.default_rng(0).integers(-9000, 9000, (1, 2000)))
    layer = dense("fc3", np.array([[127], [127]]), Step(row), 8, 8)
    _, network = small(2, 0.0)
    network = chain((layer,), replace(network.input, low=-128, high=127), network.output_scale)
    with pytest.raises(QapError, match=r"layer fc3, channel 0: .* do not lie on one line"):
        code.requantize("name", network["fc3"], layer.activation, network.node_ranges["fc3"])


@pytest.mark.slow
@pytest.mark.parametrize("bits", [10, 12])
def test_wide_activations_are_exact(bits, tmp_path):
    _, network = small(bits, 0.5)
    assert run(network, tmp_path).mismatches == 0


def test_the_same_network_gives_the_same_bytes_and_no_path_of_this_machine(tmp_path):
    _, network = small(4, 0.5, widths=(6, 5, 4, 3))
    one, two = made(network, tmp_path / "a"), made(network, tmp_path / "b")
    files = sorted(path.relative_to(one.folder) for path in one.folder.rglob("*") if path.is_file())
    assert files
    for name in files:
        content = (one.folder / name).read_bytes()
        assert content == (two.folder / name).read_bytes(), name
        assert str(tmp_path).encode() not in content, name


def test_a_network_too_large_to_unroll_is_refused_with_its_size_and_a_hint(tmp_path, monkeypatch):
    _, network = small(4, 0.0, widths=(6, 5, 4, 3))
    monkeypatch.setattr(limits, "MAX_PRODUCTS", 20)
    with pytest.raises(QapError, match=r"multiplications at the same time.*LUTs") as caught:
        made(network, tmp_path)
    assert "--backend finn" in caught.value.hint and "--reuse-factor" in caught.value.hint
    assert not (tmp_path / "hls4ml").exists()
    assert made(network, tmp_path, allow_oversize=True).details["products"] > 20


@pytest.mark.parametrize(
    "options, said",
    [
        ({"strategy": "latencyy"}, "unknown strategy"),
        ({"output_kind": "probabilities"}, "unknown output kind"),
        ({"reuse_factor": 0}, "reuse factor 0"),
        ({"io_type": "io_stream"}, "unknown --io-type 'io_stream'"),
        ({"strategy": "resource"}, "nothing to share"),
        ({"strategy": "resource_unrolled"}, "nothing to share"),
        ({"strategy": "distributed_arithmetic", "reuse_factor": 2}, "no multiplier to use again"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, said):
    with pytest.raises(QapError, match=said):
        Hls4mlOptions(**options)


def test_other_versions_and_missing_programs_are_said_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda name: "1.2.0")
    with pytest.raises(QapError, match=r"hls4ml 1\.2\.0 was not tested.*1\.3\.0"):
        Hls4mlBackend().require(Hls4mlOptions(), simulate=True)
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(QapError, match=r"'g\+\+' was not found"):
        Hls4mlBackend().require(Hls4mlOptions(), simulate=True)
