# SPDX-License-Identifier: Apache-2.0
"""Models that others trained and published, and the data they are for; run where QAP2FPGA_REAL_DATA says they are."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import numpy as np
import pytest

from qap2fpga import backends
from qap2fpga.backends.hls4ml.options import Hls4mlOptions
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.frontend import export, onnxfile
from qap2fpga.frontend.checkpoint import model_file as checkpoint
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.frontend.graph import input_is_quantized, read
from qap2fpga.frontend.prepare import Prepared, Source, prepare
from qap2fpga.frontend.torch_run import Torch
from qap2fpga.hw import boards
from qap2fpga.hw.beats import unpack, words
from qap2fpga.hw.design import Design
from qap2fpga.synth import yosys
from qap2fpga.system.errors import QapError
from qap2fpga.verify import csim, netlist
from qap2fpga.verify import rtl as simulation
from qap2fpga.verify.engine import Reference

VU13P = boards.load("vu13p")
JETS = ("g", "q", "w", "z", "t")  # the order of FPGA4HEP's outputs


def lowered(path: Path, widths: Widths | None = None, **options: object) -> Prepared:
    """Prepared, with what must hold for every model that is taken."""
    prepared = prepare(Source(path, widths or Widths(), **options), lambda text: None)  # type: ignore[arg-type]
    assert all(one.mismatches == 0 and one.vectors > 0 for one in prepared.simulations)
    assert (prepared.network.run(prepared.vectors) == prepared.lowered.run(prepared.vectors)).all()
    for layer in prepared.facts.record()["layers"]:
        assert layer["hardware"]["nonzeros"] <= layer["weights"] - layer["zeros"]
    return prepared


@pytest.fixture(scope="module")
def jets(real_data: Path) -> Path:
    return real_data / "jets" / "jets_real_dev.npz"


@pytest.fixture(scope="module")
def mnist(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test images, 0 to 1, and their labels."""
    with gzip.open(real_data / "mnist" / "mnist_t10k-images-idx3-ubyte.gz") as stream:
        images = np.frombuffer(stream.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(real_data / "mnist" / "mnist_t10k-labels-idx1-ubyte.gz") as stream:
        labels = np.frombuffer(stream.read(), np.uint8, offset=8)
    path = tmp_path_factory.mktemp("mnist") / "mnist.npz"
    np.savez(path, X=images / np.float32(255), y=labels)
    return path


def test_the_papers_own_checkpoint(real_data: Path, jets: Path) -> None:
    """Hawks et al. 2021: their figure, and the one with what rounds to 0 counted as pruned.

    It was trained on labels of which 90 % were drawn at random, which is why it finds half of the jets only.
    """
    path = real_data / "models" / "qap_6b_90rand_80pruned_noL1.pth"
    prepared = lowered(path, Widths((6,), (6,), 8), data=jets, classes=JETS)
    facts = prepared.facts.record()
    assert round(facts["bops"]["paper_code"]) == 203_761
    assert facts["bops"]["paper_code_rounded"] == 193_648
    assert [(layer["inputs"], layer["outputs"]) for layer in facts["layers"]] == [(16, 64), (64, 32), (32, 32), (32, 5)]
    assert [layer["weight_bits"] for layer in facts["layers"]] == [6] * 4
    assert facts["layers"][0]["zeros"] == 618
    cost = facts["input_quantizer_cost"]  # of the torch model, on the same jets
    assert facts["rows"] == cost["rows"] == 499
    assert facts["accuracy"] == cost["accuracy"] > 0.5
    assert cost["same_class"] > 0.95
    assert {one.engine.split()[0] for one in prepared.simulations} >= {"compacted", "torch", "qonnx"}


@pytest.mark.parametrize(("bits", "accuracy"), [(1, 0.5), (8, 0.75)])
def test_fpga4hep(real_data: Path, jets: Path, bits: int, accuracy: float) -> None:
    path = real_data / "models" / f"FPGA4HEP_W{bits}_A{bits}_I{bits}.pth"
    prepared = lowered(path, Widths((bits,), (bits,)), data=jets, classes=JETS)
    assert prepared.facts.record()["accuracy"] > accuracy
    assert prepared.facts.record()["input"]["bits"] == bits
    assert prepared.facts.record()["input"]["signed"]
    assert [layer["output_bits"] for layer in prepared.facts.record()["layers"]] == [bits, bits, bits, None]
    assert prepared.lowered.input.rounding == ("SIGN" if bits == 1 else "ROUND")


PAPER = "qap_6b_90rand_80pruned_noL1"


def published(real_data: Path, jets: Path, name: str) -> Prepared:
    """One of the jet networks; FPGA4HEP's names say the bits."""
    bits = 6 if name == PAPER else int(name.rsplit("I", 1)[1])
    widths = Widths((bits,), (bits,), 8 if name == PAPER else None)
    return lowered(real_data / "models" / f"{name}.pth", widths, data=jets, classes=JETS)


def c_simulated(prepared: Prepared, folder: Path) -> Path:
    """The project's folder, its C++ proven on every vector in every layer."""
    network, vectors = prepared.network, prepared.vectors
    project = backends.get("hls4ml").generate(
        network, VU13P, folder / "hls4ml", Hls4mlOptions(), vectors[:5]
    )  # fmt: skip
    expected = Reference(network, project.output_kind).outputs(vectors)
    result, alone = csim.CSimulation(project, network, folder / "csim").simulate(vectors, expected)
    assert alone.mismatches == 0
    assert (result.mismatches, result.vectors) == (0, len(vectors))
    return project.folder


def delivered(design: Design, folder: Path) -> np.ndarray:
    """The integers (n, outputs) that came out of the RTL at full speed, as the testbench stored them."""
    beats = np.fromfile(folder / "full_speed.beats", "<u4").reshape(-1, words(design.output))
    return unpack(beats, design.output)[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "accuracy", "mapped"),
    [
        ("FPGA4HEP_W1_A1_I1", 0.5, True),
        (PAPER, 0.5, True),
        # Mapping its 90,000 LUTs takes Yosys longer than all other tests together.
        ("FPGA4HEP_W8_A8_I8", 0.75, False),
    ],
)
def test_numpy_cpp_rtl_and_netlist_give_the_same(
    real_data: Path, jets: Path, name: str, accuracy: float, mapped: bool, tmp_path: Path
) -> None:
    """Full size. The accuracy is that of the integers which the simulated chip delivered."""
    prepared = published(real_data, jets, name)
    network, vectors = prepared.network, prepared.vectors
    c_simulated(prepared, tmp_path)
    expected = network.run(vectors)
    design = backends.get("rtl").generate(network, VU13P, tmp_path / "rtl", RtlOptions(), vectors)
    runs = simulation.Rtl(design, tmp_path / "simulate", network=network).simulate(vectors, expected)
    assert sum(one.mismatches for one in runs) == 0
    assert simulation.measured(runs) == (design.latency_cycles, 1.0)
    outcome = delivered(design, tmp_path / "simulate")
    assert np.array_equal(outcome, expected)
    assert prepared.labels is not None
    right = outcome[: len(prepared.labels)].argmax(axis=1) == prepared.labels
    assert len(right) == 499 and right.mean() == prepared.facts.record()["accuracy"] > accuracy
    if mapped:
        synthesis = yosys.map_design(design, VU13P, tmp_path / "yosys")
        used = yosys.measurement(synthesis).total
        assert used.lut is not None and used.dsp == 0
        assert abs(design.estimate["lut"] / used.lut - 1) < 0.35
        engine = netlist.Netlist(design, VU13P, synthesis, tmp_path / "netlist", network=network)
        (result,) = engine.simulate(vectors[:300], expected[:300])
        assert (result.mismatches, result.vectors, result.note) == (0, 300, "")


@pytest.mark.slow
def test_16_bits_are_exact_in_cpp_and_too_large_to_unroll(real_data: Path, jets: Path, tmp_path: Path) -> None:
    """65,535 thresholds per channel: no table, but one exact multiplication each; torch's accuracy is kept."""
    name = "FPGA4HEP_W16_A16_I16"
    prepared = published(real_data, jets, name)
    network, labels = prepared.network, prepared.labels
    assert labels is not None
    chain = checkpoint.read(real_data / "models" / f"{name}.pth", Widths((16,), (16,)))
    with np.load(jets) as data:
        logits = Torch().values(chain, data["X"]).output
    assert prepared.facts.record()["accuracy"] == (logits.argmax(axis=1) == labels).mean() > 0.75
    code = (c_simulated(prepared, tmp_path) / "firmware" / "parameters.h").read_text()
    hidden = sum(layer.outputs for layer in network.layers[:-1])
    assert code.count("qap::clamp(qap::affine<") == hidden and "thresholds" not in code
    with pytest.raises(QapError, match=r"take about [\d,]+ LUTs; more than [\d,]+ are not unrolled") as caught:
        backends.get("rtl").generate(network, VU13P, tmp_path / "rtl", RtlOptions(), prepared.vectors)
    assert caught.value.exit_code == 2 and "--backend finn" in caught.value.hint
    assert not (tmp_path / "rtl").exists()


def test_jets_of_qkeras(real_data: Path, jets: Path) -> None:
    prepared = lowered(real_data / "models" / "jet_qkeras_3layer.onnx", data=jets)
    facts = prepared.facts.record()
    assert facts["accuracy"] > 0.72
    assert abs(facts["input_quantizer_cost"]["accuracy"] - facts["input_quantizer_cost"]["accuracy_raw"]) < 0.03
    assert any("Softmax" in note for note in facts["notes"])


@pytest.mark.parametrize(("name", "bits"), [("tfc_1w1a_zoo", 1), ("tfc_1w2a_zoo", 2)])
def test_mnist_of_finn(real_data: Path, mnist: Path, name: str, bits: int) -> None:
    prepared = lowered(real_data / "models" / f"{name}.onnx", data=mnist)
    facts = prepared.facts.record()
    assert facts["rows"] == 10_000
    assert facts["accuracy"] > 0.9
    assert (facts["inputs"], facts["outputs"]) == (784, 10)
    assert {layer["weight_bits"] for layer in facts["layers"]} == {1}
    assert {layer["input_bits"] for layer in facts["layers"]} == {bits}
    assert sum(layer["zeros"] for layer in facts["layers"]) == 0


@pytest.mark.parametrize(
    ("name", "inputs", "outputs", "kind"),
    [
        ("kwsmlp_w3a3_zoo", 490, 12, "logits"),
        ("unsw_nb15_mlp_w2a2", 600, 1, "levels"),
        ("bnn_fc_1layer", 3, 4, "levels"),
        ("al_tfc_w1a1", 784, 10, "logits"),
        ("al_tfc_w1a1_flat", 784, 10, "logits"),
        ("al_tfc_w2a2", 784, 10, "logits"),
        ("finn_build_dataflow_tfc_w1a1", 784, 10, "logits"),
    ],
)
def test_other_dense_networks(real_data: Path, name: str, inputs: int, outputs: int, kind: str) -> None:
    facts = lowered(real_data / "models" / f"{name}.onnx").facts.record()
    assert (facts["inputs"], facts["outputs"], facts["output"]["kind"]) == (inputs, outputs, kind)


FINN_FORM = "FINN's form of hardware"


@pytest.mark.parametrize(
    ("name", "what", "hint"),
    [
        ("finn_cybsec_PE_SIMD", r"node \w+ \(MVAU_hls\)", FINN_FORM),
        ("espcn_subpixel_quant", r"node \w+ \(DepthToSpace\)", "supported: dense"),
        ("three_layer_bn_keras_float", r"node \w+ \(Gemm\)", "its weights are floats"),
        ("three_layer_bn_pytorch_float", r"node \w+ \(Gemm\)", "its weights are floats"),
    ],
)
def test_what_is_not_taken_is_refused_by_name(real_data: Path, name: str, what: str, hint: str) -> None:
    with pytest.raises(QapError, match=what) as caught:
        lowered(real_data / "models" / f"{name}.onnx", range=(-1.0, 1.0))
    assert hint in caught.value.hint


WILD: dict[str, tuple[str, str]] = {
    "example_dense_big_keras_float": ("MatMul", "its weights are floats"),
    "finn2020_tfc_w1a1_after_hls": ("StreamingFCLayer_Batch", FINN_FORM),
    "mirigaldi_fmnist_preproc_only": ("no dense layer", "supported: dense"),
    "mlperf_alibaba_ic": ("Conv", "its weights are floats"),
    "qonnx_act_weight_fp8": ("FloatQuant", "supported: dense"),
    "qonnx_eltwise_chanlast": ("Conv", "its weights are floats"),
    "qonnx_residual_block_clean": ("Conv", "its weights are floats"),
    "samufrank_finnT_int2_v1": ("MatMul", "as attention does"),
    "tinyharm_ids_brevitas": ("QuantLSTMCell", "supported: dense"),
    "tinyharm_ids_qonnx": ("the graph has 3 inputs", "one input"),
    "cern_qonnx_model": ("MatMul", "as attention does"),
}
# Small enough to be compared with qonnx here. Of larger ones it is tried that they are read;
# `benchmarks/public_models.py` compares all of them.
TAKEN = (
    "al_tfc_step_streamline", "dac2026_cybsec_mlp_ready", "datelbr_wb2_ab4_prune90", "datelbr_wb4_ab4",
    "finndlp_plz_work", "suzano_simple_fc",
)  # fmt: skip
READ = (
    "dahami_radioml_small_qonnx", "espcn_nn_resize_quant", "example_branched_ch_last", "example_separable_conv_ch_last",
    "kirthana_lenet_streamlined", "mirigaldi_fmnist", "mirigaldi_mnist_brevitas", "mirigaldi_mnist_v2_brevitas",
    "mirigaldi_mnist_v4_finn", "radioml_vgg10_w8a8_export", "suzano_lenet_w8a8", "suzano_simple_cnv",
    "thesis_cnvlight_gtsrb_w1a1", "thesis_cnvlight_gtsrb_w4a4", "tinyharm_subcnn_qonnx", "tinyharm_submlp",
    "tinyharm_submlp_qonnx", "urop_cnn_4b", "wildfire_mobilenetv2_nano_bipolar",
)  # fmt: skip


def test_a_convolutional_network(real_data: Path) -> None:
    assert lowered(real_data / "models" / "lenet_clean.onnx", range=(-1.0, 1.0)).network.outputs == 10


@pytest.mark.parametrize("name", TAKEN)
def test_small_graphs_from_the_wild(real_data: Path, name: str) -> None:
    lowered(real_data / "wild" / f"{name}.onnx", range=(-1.0, 1.0))


@pytest.mark.parametrize("name", READ)
def test_larger_graphs_from_the_wild_are_read(real_data: Path, name: str) -> None:
    graph = onnxfile.load(real_data / "wild" / f"{name}.onnx")
    if not input_is_quantized(graph):
        graph = export.add_input_quantizer(graph, 8, 1 / 128, signed=True)
    assert read(graph).layers


@pytest.mark.parametrize("name", WILD)
def test_graphs_from_the_wild_are_refused_for_what_they_are_in_seconds(real_data: Path, name: str) -> None:
    what, hint = WILD[name]
    start = time.monotonic()
    with pytest.raises(QapError) as caught:
        lowered(real_data / "wild" / f"{name}.onnx", range=(-1.0, 1.0))
    assert what in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code == 2
    assert time.monotonic() - start < 10


def test_every_graph_from_the_wild_is_one_of_these(real_data: Path) -> None:
    assert {path.stem for path in (real_data / "wild").glob("*.onnx")} == {*WILD, *TAKEN, *READ}


def test_every_model_is_one_of_these(real_data: Path) -> None:
    """A model that is added there and tried nowhere would look like one that works."""
    text = Path(__file__).read_text()
    for path in (real_data / "models").iterdir():
        if path.suffix in (".onnx", ".pth"):
            stem = "FPGA4HEP_W{bits}_A{bits}_I{bits}" if path.stem.startswith("FPGA4HEP") else path.stem
            assert stem in text, path.name
