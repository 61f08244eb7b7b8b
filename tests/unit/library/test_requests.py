# SPDX-License-Identifier: Apache-2.0
"""What a build is asked for, from what was said of a network, and from a file of a folding."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch import nn

import qap2fpga
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.backends.rtl.options import RtlOptions
from qap2fpga.library import requests
from qap2fpga.system.errors import QapError
from tests.support import command
from tests.support.networks import random_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("requests")
    command.save(place / "net.pt", random_model(3))
    return place


def test_a_request_has_what_was_said_of_a_network(folder: Path) -> None:
    network = qap2fpga.load(folder / "net.pt", classes=("a", "b", "c"), output_kind="class", compare=False, quiet=True)
    wanted = requests.request(network, "pynq-z2", "rtl", options={"clock": 4.0})
    assert (wanted.model, wanted.classes, wanted.output_kind) == (folder / "net.pt", ("a", "b", "c"), "class")
    assert wanted.options == RtlOptions(clock=4.0, output_kind="class")
    assert wanted.output == Path("builds") / "net-rtl-pynq-z2"
    other = requests.request(network, "pynq-z2", "finn", options={"output_kind": "logits"}, vendor=())
    assert (other.options, other.vendor) == (FinnOptions(), ())
    for more in ({"bits": 4}, {"input_data": "x.npz"}, {"input_range": (-1, 1)}, {"classes": ("a",)}):
        with pytest.raises(QapError, match="the network was read already"):
            requests.request(network, "pynq-z2", "rtl", options={}, **more)  # type: ignore[arg-type]


def test_steps_and_classes_may_have_commas_between_them(folder: Path) -> None:
    given = requests.request(folder / "net.pt", "pynq-z2", "rtl", vendor="synth,route", classes="a,b,c", options={})
    assert (given.vendor, given.classes) == (("synth", "route"), ("a", "b", "c"))
    for none in ("none", "", ()):
        assert requests.request(folder / "net.pt", "pynq-z2", "rtl", vendor=none, options={}).vendor == ()


def test_finns_own_builder_gets_finns_units(folder: Path) -> None:
    asked = [
        requests.request(folder / "net.pt", "pynq-z2", "finn", vendor=vendor, options={"sparse": sparse}).options
        for vendor, sparse in ((("finn",), None), (("finn",), "always"), (("synth",), None), (None, None))
    ]
    assert asked == [FinnOptions(sparse=one) for one in ("never", "always", "auto", "auto")]
    assert requests.request(folder / "net.pt", "pynq-z2", "rtl", vendor=("finn",), options={}).options == RtlOptions()


def test_a_module_that_was_not_saved_says_so() -> None:
    for call in (
        lambda: requests.request(nn.Sequential(), "pynq-z2", "rtl", options={}),  # type: ignore[arg-type]
        lambda: qap2fpga.load(nn.Sequential()),  # type: ignore[arg-type]
        lambda: qap2fpga.estimate(nn.Sequential(), "pynq-z2"),  # type: ignore[arg-type]
    ):
        with pytest.raises(QapError, match=r"the model is a Sequential, not a file\n  save it first: qap2fpga.save"):
            call()
    with pytest.raises(QapError, match=r"the model is a int, not a file\n  give the path of a model file"):
        qap2fpga.load(3)  # type: ignore[arg-type]


def test_a_folding_is_a_file_or_what_is_in_it(folder: Path) -> None:
    nodes = {"MVAU_rtl_0": {"SIMD": 1, "PE": 1}}
    (folder / "folding.json").write_text(json.dumps(nodes))
    for given in (nodes, folder / "folding.json", str(folder / "folding.json")):
        wanted = requests.request(folder / "net.pt", "pynq-z2", "finn", options={"folding": given})
        assert wanted.options == FinnOptions(folding=nodes)
