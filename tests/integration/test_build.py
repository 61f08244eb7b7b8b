# SPDX-License-Identifier: Apache-2.0
"""Whole builds: from a model file to a checked report, and what must end one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qap2fpga import backends
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.build import making, mapping, simulating
from qap2fpga.build.request import Request
from qap2fpga.build.run import build
from qap2fpga.frontend.checkpoint import writing
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.frontend.prepare import Prepared, Source, prepare
from qap2fpga.hw import boards
from qap2fpga.ir import outputs as reference
from qap2fpga.ir import storage
from qap2fpga.prove.certificate import NETLIST
from qap2fpga.prove.simulated import NOT_SIMULATED
from qap2fpga.system import cache
from qap2fpga.system.codec import encode
from qap2fpga.system.errors import CheckFailed, ConstantNetwork, QapError
from qap2fpga.system.progress import Progress
from qap2fpga.verify import rtl
from tests.support.networks import random_model
from tests.support.reports import failed, stored
from tests.support.spoiled import spoil_what_is_generated


def request(model: Path, output: Path, **changes) -> Request:
    board = boards.load(changes.pop("board", "pynq-z2"))
    return Request(model, board, "finn", changes.pop("options", FinnOptions()), output, Widths(), **changes)


def run(wanted: Request) -> dict:
    with Progress(quiet=True) as progress:
        return encode(build(wanted, progress))


@pytest.fixture(scope="session")
def small_model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.pt"
    model = random_model(21, widths=(6, 12, 8, 4), bits=4, sparsity=0.5, rows=300)
    writing.write(model, path, model.labels, {})
    return path


@pytest.fixture(scope="session")
def small_build(small_model, tmp_path_factory) -> Path:
    """One small build with everything: RTL, synthesis, proofs."""
    output = tmp_path_factory.mktemp("build") / "small"
    run(request(small_model, output))
    return output


@pytest.mark.slow
@pytest.mark.xdist_group("small")
def test_a_build_proves_every_stage_equal(small_build):
    report = stored(small_build)
    engines = {one["compared"]: one for one in report["simulations"]}
    assert sum(one["mismatches"] for one in report["simulations"]) == 0
    for name in ("one frame at a time", "full speed", "random gaps", "bursts"):
        assert any(name in compared for compared in engines), name
    # So the netlist need not be simulated.
    claims = {one["claim"]: one for one in report["proof"]["claims"]}
    assert claims[NETLIST]["word"] == "proven" and claims[NETLIST]["detail"].endswith(NOT_SIMULATED)
    assert not any("netlist" in compared for compared in engines)
    timing = report["timing"]
    assert timing["interval_cycles"]["measured"] == timing["interval_cycles"]["predicted"]
    assert report["fits"]["verdict"] == "fits"
    assert not failed(report)
    dsp = report["measurements"][-1]["total"]["dsp"]
    assert dsp == report["predictions"][-1]["total"]["dsp"] > 0


@pytest.mark.slow
@pytest.mark.xdist_group("small")
def test_the_interface_holds_one_worked_vector(small_build):
    report = stored(small_build)
    interface, network = report["interface"], storage.load(small_build / "network.npz")
    example = interface["example"]
    integers = np.array([example["integers"]])
    assert network.input.quantize(np.array([example["real"]], np.float32)).tolist() == integers.tolist()
    assert network.run(integers)[0].tolist() == example["output_integers"]
    stream, beats = interface["input"], example["input_bytes"]
    assert len(beats) == stream["beats"]
    mask = (1 << stream["bits"]) - 1
    for beat, text in enumerate(beats):
        for lane in range(stream["lanes"]):
            value = int(text, 16) >> lane * stream["bits"] & mask
            assert value == example["integers"][beat * stream["lanes"] + lane] & mask
    assert report["design"]["top"] in interface["verilog"]
    assert report["design"]["top"] in interface["vhdl"]


@pytest.mark.slow
@pytest.mark.xdist_group("small")
def test_a_second_build_reuses_and_a_killed_one_resumes(small_build, small_model, tmp_path, monkeypatch):
    again = tmp_path / "again"
    shutil.copytree(small_build, again)
    before = (again / "report.json").read_bytes()

    def never(*_: object) -> None:
        raise AssertionError("a stage ran again")

    for stage in ("model", "generate"):
        monkeypatch.setattr(making, stage, never)
    monkeypatch.setattr(rtl.Rtl, "simulate", never)
    run(request(small_model, again))
    assert (again / "report.json").read_bytes() == before
    # As if killed in the middle of the simulation: only that stage runs again.
    (again / ".qap2fpga" / "simulate.json").unlink()
    (again / "report.json").unlink()
    calls = []
    stored = json.loads((small_build / ".qap2fpga" / "simulate.json").read_text())["result"]

    def once(*arguments: object, **_: object) -> list:
        calls.append(arguments)
        return [building_simulation(one) for one in stored]

    monkeypatch.setattr(rtl.Rtl, "simulate", once)
    run(request(small_model, again))
    assert len(calls) == 1
    assert (again / "report.json").read_bytes() == before


@pytest.mark.slow
def test_another_board_takes_the_same_hardware_from_the_cache(small_model, tmp_path, monkeypatch):
    """Of a netlist that is simulated, and with all files that later stages need."""
    monkeypatch.setenv(cache.LIMIT, "100")
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "cache"))
    changes = {"until": "synthesize", "prove": False}
    first = run(request(small_model, tmp_path / "a", **changes))

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a stage ran again")

    for module, stage in ((making, "model"), (mapping, "synthesize"), (mapping, "time"),
                          (simulating, "simulate_rtl"), (simulating, "simulate_netlist")):  # fmt: skip
        monkeypatch.setattr(module, stage, never)
    second = run(request(small_model, tmp_path / "b", board="pynq-z1", **changes))
    assert second["board"]["name"] == "pynq-z1"
    for part in ("model", "simulations", "measurements", "timing", "interface"):
        assert second[part] == first[part], part
    assert not failed(second)
    with pytest.raises(AssertionError, match="a stage ran again"):
        run(request(small_model, tmp_path / "c", cache=False, **changes))


@pytest.mark.slow
@pytest.mark.xdist_group("small")
def test_the_same_build_again_loads_nothing_heavy(small_build, small_model, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(small_build, again)
    words = ["qap2fpga", "build", str(small_model), "--board", "pynq-z2", "--output", str(again), "--quiet"]
    program = (
        f"import sys; sys.argv = {words}\nfrom qap2fpga.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, [one for one in ('torch', 'brevitas', 'qonnx', 'finn') "
        "if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.splitlines()[-1] == "0 []"


def building_simulation(stored: dict):
    from qap2fpga.ir.comparison import Simulation

    return Simulation(**stored)


@pytest.mark.slow
@pytest.mark.xdist_group("small")
def test_other_options_do_not_reuse(small_build, small_model, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(small_build, other)
    report = run(request(small_model, other, options=FinnOptions(output_kind="class"), until="simulate"))
    assert report["design"]["output_kind"] == "class"
    assert report["interface"]["output"]["elements"] == 1
    assert sum(one["mismatches"] for one in report["simulations"]) == 0


@pytest.mark.slow
@pytest.mark.xdist_group("small")
@pytest.mark.parametrize("pattern", ["*weights*.dat", "*thresh*.dat"])
def test_one_flipped_bit_in_the_hardware_is_found(small_build, small_model, tmp_path, monkeypatch, pattern):
    """A weight or a threshold of the RTL, changed before the stage that makes it ends."""

    def flip(folder: Path) -> None:
        memory = sorted((folder / "finn" / "rtl").glob(pattern))[0]
        lines = memory.read_text().split("\n")
        # The second lowest bit of the first word; a threshold's lowest may stand where no accumulator comes by.
        lines[0] = lines[0][:-1] + f"{int(lines[0][-1], 16) ^ 2:x}"
        memory.write_text("\n".join(lines))

    broken = tmp_path / "broken"
    shutil.copytree(small_build, broken)
    for stale in ("generate", "simulate", "synthesize", "prove"):
        (broken / ".qap2fpga" / f"{stale}.json").unlink()
    spoil_what_is_generated(monkeypatch, flip)
    with pytest.raises(CheckFailed, match="vectors differ; first vector"):
        run(request(small_model, broken, until="simulate"))


def test_predicted_not_to_fit_ends_before_generation(small_model, tmp_path):
    tiny = tmp_path / "tiny.yaml"
    tiny.write_text((Path(__file__).parents[2] / "boards" / "pynq-z2.yaml").read_text().replace("dsp: 220", "dsp: 1"))
    with pytest.raises(QapError, match="fit") as caught:
        run(request(small_model, tmp_path / "out", board=str(tiny)))
    assert caught.value.exit_code == 2
    assert not (tmp_path / "out" / "finn").exists()
    report = run(
        request(
            small_model, tmp_path / "out", board=str(tiny), options=FinnOptions(allow_oversize=True), until="generate"
        )
    )
    assert report["design"]["folding"]


def test_same_input_same_bytes(small_model, tmp_path):
    for name in ("a", "b"):
        run(request(small_model, tmp_path / name, until="generate"))
    # When it ran stands in these alone.
    dated = {"build.log", "history.jsonl"}
    files = [path.relative_to(tmp_path / "a") for path in sorted((tmp_path / "a").rglob("*"))
             if path.is_file() and path.name not in dated]  # fmt: skip
    assert len(files) > 20
    different = [
        str(path) for path in files if (tmp_path / "a" / path).read_bytes() != (tmp_path / "b" / path).read_bytes()
    ]
    assert different == []


WIDTHS, SPARSITIES = (1, 2, 3, 4, 6, 8), (0.0, 0.5, 0.8, 0.95)
MATRIX = [
    pytest.param(bits, sparsity, power_of_two, id=f"{bits}b-{sparsity}-{'pow2' if power_of_two else 'float'}")
    for bits in WIDTHS
    for sparsity in SPARSITIES
    for power_of_two in (True, False)
]


def living(bits: int, sparsity: float, *, power_of_two: bool, folder: Path) -> Prepared:
    """A random network of the matrix. Pruning so small a one may leave a constant: then the next seed is taken."""
    for seed in range(100):
        model = random_model(
            seed,
            widths=(8, 16, 12, 4),
            bits=bits,
            sparsity=sparsity,
            power_of_two=power_of_two,
            rows=100,
            per_channel=bits % 2 == 0,
            last_batch_norm=bits % 3 == 0,
        )
        writing.write(model, folder / "model.pt", model.labels, {})
        try:
            return prepare(Source(folder / "model.pt", Widths()), lambda _: None)
        except ConstantNetwork:
            continue
    raise AssertionError("no seed gives a network that is not a constant")


@pytest.mark.slow
def test_a_home_that_does_not_exist(small_model, tmp_path):
    """FINN makes its settings there when it is imported; so this is a process of its own."""
    command = [sys.executable, "-m", "qap2fpga", "build", str(small_model), "--board", "pynq-z2", "--until", "generate"]
    home = tmp_path / "no" / "home"
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "out")], env={**os.environ, "HOME": str(home)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "report.json").is_file()
    assert not home.parent.exists()


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "sparsity", "power_of_two"), MATRIX)
def test_every_width_sparsity_and_kind_of_scale(bits, sparsity, power_of_two, tmp_path):
    """From checkpoint to RTL, exact, on layers of at most 16 neurons.

    FINN's graph is compared after every step in all cases; the RTL runs in half of them, each pair of width and
    sparsity once and each kind of scale with every width and every sparsity, since a Verilator build takes seconds.
    """
    prepared = living(bits, sparsity, power_of_two=power_of_two, folder=tmp_path)
    options = FinnOptions(target_fps=5e6)
    design = backends.get("finn").generate(
        prepared.network, boards.load("pynq-z2"), tmp_path / "finn", options, prepared.random[:20]
    )
    if (WIDTHS.index(bits) + SPARSITIES.index(sparsity)) % 2 == power_of_two:
        return
    vectors = np.concatenate([prepared.recorded, prepared.random[:100], prepared.extreme])
    expected = reference.outputs(prepared.network, "logits", vectors)
    simulation = rtl.Rtl(design, tmp_path / "simulate", threads=1).simulate(vectors, expected)
    assert sum(one.mismatches for one in simulation) == 0
    assert rtl.measured(simulation)[1] == design.interval_cycles


@pytest.mark.slow
@pytest.mark.xdist_group("full")
def test_the_example_in_full(example, tmp_path):
    """What `make demo` builds: the full size, RTL and proofs, on a board with DSP48E1."""
    report = run(request(example, tmp_path / "jets"))
    assert not failed(report)
    assert report["fits"]["verdict"] == "fits"
    assert sum(one["mismatches"] for one in report["simulations"]) == 0
    rows = {one["compared"]: one["vectors"] for one in report["simulations"] if one["engine"] == "verilator"}
    assert max(rows.values()) >= 2000
    assert report["model"]["accuracy"] > 0.6
    zeros = sum(layer["zeros"] for layer in report["model"]["layers"])
    assert zeros / sum(layer["weights"] for layer in report["model"]["layers"]) >= 0.8


@pytest.mark.slow
@pytest.mark.xdist_group("ultrascale")
def test_an_ultrascale_netlist_runs_on_our_own_dsp_model(small_model, tmp_path):
    report = run(request(small_model, tmp_path / "us", board="ultra96-v2", prove=False))
    netlist = next(one for one in report["simulations"] if "netlist" in one["compared"])
    assert (netlist["vectors"] >= 200 and netlist["mismatches"] == 0) or "not simulated" in netlist["note"]
    assert not failed(report)
