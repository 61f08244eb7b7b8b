# SPDX-License-Identifier: Apache-2.0
"""Models that others trained and published, and the data they are for; run where QAP2FPGA_REAL_DATA says they are."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from qap2fpga.checkpoint.widths import Widths
from qap2fpga.errors import QapError
from qap2fpga.lower.prepare import Prepared, Source, prepare

JETS = ("g", "q", "w", "z", "t")  # the order of FPGA4HEP's outputs


def lowered(path: Path, widths: Widths | None = None, **options: object) -> Prepared:
    """Prepared, with what must hold for every model that is taken."""
    prepared = prepare(Source(path, widths or Widths(), **options), lambda text: None)  # type: ignore[arg-type]
    assert all(one.mismatches == 0 and one.vectors > 0 for one in prepared.simulations)
    assert (prepared.network.run(prepared.vectors) == prepared.lowered.run(prepared.vectors)).all()
    for layer in prepared.facts["layers"]:
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
    facts = prepared.facts
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


@pytest.mark.parametrize(("bits", "accuracy"), [(1, 0.5), (8, 0.75), pytest.param(16, 0.75, marks=pytest.mark.slow)])
def test_fpga4hep(real_data: Path, jets: Path, bits: int, accuracy: float) -> None:
    path = real_data / "models" / f"FPGA4HEP_W{bits}_A{bits}_I{bits}.pth"
    prepared = lowered(path, Widths((bits,), (bits,)), data=jets, classes=JETS)
    assert prepared.facts["accuracy"] > accuracy
    assert prepared.facts["input"]["bits"] == bits
    assert prepared.facts["input"]["signed"]
    assert [layer["output_bits"] for layer in prepared.facts["layers"]] == [bits, bits, bits, None]
    assert prepared.lowered.input.rounding == ("SIGN" if bits == 1 else "ROUND")


def test_jets_of_qkeras(real_data: Path, jets: Path) -> None:
    prepared = lowered(real_data / "models" / "jet_qkeras_3layer.onnx", data=jets)
    facts = prepared.facts
    assert facts["accuracy"] > 0.72
    assert abs(facts["input_quantizer_cost"]["accuracy"] - facts["input_quantizer_cost"]["accuracy_raw"]) < 0.03
    assert any("Softmax" in note for note in facts["notes"])


@pytest.mark.parametrize(("name", "bits"), [("tfc_1w1a_zoo", 1), ("tfc_1w2a_zoo", 2)])
def test_mnist_of_finn(real_data: Path, mnist: Path, name: str, bits: int) -> None:
    prepared = lowered(real_data / "models" / f"{name}.onnx", data=mnist)
    facts = prepared.facts
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
    ],
)
def test_other_dense_networks(real_data: Path, name: str, inputs: int, outputs: int, kind: str) -> None:
    facts = lowered(real_data / "models" / f"{name}.onnx").facts
    assert (facts["inputs"], facts["outputs"], facts["output"]["kind"]) == (inputs, outputs, kind)


FINN_FORM = "FINN's own form; give the QONNX model that it was made from"


@pytest.mark.parametrize(
    ("name", "what", "cure"),
    [
        ("al_tfc_w1a1", r"node \w+ \(MultiThreshold\)", FINN_FORM),
        ("al_tfc_w1a1_flat", r"node \w+ \(MultiThreshold\)", FINN_FORM),
        ("al_tfc_w2a2", r"node \w+ \(MultiThreshold\)", FINN_FORM),
        ("finn_build_dataflow_tfc_w1a1", r"node \w+ \(MultiThreshold\)", FINN_FORM),
        ("finn_cybsec_PE_SIMD", r"node \w+ \(MVAU_hls\)", FINN_FORM),
        ("lenet_clean", r"node \w+ \(Conv\)", "supported: dense"),
        ("espcn_subpixel_quant", r"node \w+ \(Conv\)", "supported: dense"),
        ("three_layer_bn_keras_float", r"node \w+ \(Gemm\)", "its weights are floats"),
        ("three_layer_bn_pytorch_float", "the graph has 5 inputs", "one input"),
    ],
)
def test_what_is_not_taken_is_refused_by_name(real_data: Path, name: str, what: str, cure: str) -> None:
    with pytest.raises(QapError, match=what) as caught:
        lowered(real_data / "models" / f"{name}.onnx", range=(-1.0, 1.0))
    assert cure in caught.value.cure


def test_every_model_is_one_of_these(real_data: Path) -> None:
    """A model that is added there and tried nowhere would look like one that works."""
    text = Path(__file__).read_text()
    for path in (real_data / "models").iterdir():
        if path.suffix in (".onnx", ".pth"):
            stem = "FPGA4HEP_W{bits}_A{bits}_I{bits}" if path.stem.startswith("FPGA4HEP") else path.stem
            assert stem in text, path.name
