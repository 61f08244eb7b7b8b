# SPDX-License-Identifier: Apache-2.0
"""The commands: what they print and leave, and that a look at a build does not load half of the world."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

from qap2fpga import backends, cli
from qap2fpga.frontend import facts
from qap2fpga.frontend.graph import read
from qap2fpga.frontend.integer import lower
from qap2fpga.hw import boards
from qap2fpga.ir import storage
from qap2fpga.report import check, content
from qap2fpga.report.schema.results import Check
from qap2fpga.system import versions as stamps
from tests.support.command import build, run, save
from tests.support.networks import qonnx_graph, random_model

ROOT = Path(__file__).parents[3]
HEAVY = ("torch", "finn", "qonnx", "brevitas", "onnx", "onnxruntime", "pyosys", "matplotlib", "scipy")
FILES = ("report.json", "profile.json", "network.npz", "network.lowered.npz", "vectors.npz", "model.qonnx.onnx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model.pt, a QONNX file, data, and one finished build `one`."""
    place = tmp_path_factory.mktemp("cli")
    model = random_model(3)
    save(place / "net.pt", model)
    (place / "net.onnx").write_bytes(qonnx_graph(model).model.SerializeToString())
    np.savez(place / "data.npz", X=model.example, y=model.labels, classes=np.array(["a", "b", "c"]))
    assert build(place / "net.pt", place / "one").code == 0
    return place


def report_of(path: Path) -> dict[str, Any]:
    return json.loads((path / "report.json").read_text())


# ---- light commands


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["build", "--help"],
        ["train", "--help"],
        ["boards"],
        ["doctor"],
        ["report", "one"],
        ["report", "one", "one"],
    ],
)
def test_a_look_is_quick_and_loads_nothing_heavy(folder: Path, arguments: list[str]) -> None:
    code = (
        "import sys; from qap2fpga.cli import main\n"
        f"try: main()\nexcept SystemExit as e: print('heavy', [m for m in {HEAVY} if m in sys.modules], e.code)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stdout.splitlines()[-1] == "heavy [] 0"
    if arguments != ["doctor"]:  # which asks other programs for their version
        # Time on the processor, as other work on the machine says nothing about us.
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


def test_help_names_the_commands_and_python_m_is_the_same() -> None:
    result = run("--help")
    assert result.code == 0
    for command in ("build", "report", "train", "simulate-jets", "boards", "doctor"):
        assert re.search(rf"\b{command}\b", result.out)
    done = subprocess.run([sys.executable, "-m", "qap2fpga", "--help"], capture_output=True, text=True, check=True)
    assert "boards" in done.stdout


def test_help_of_build_names_every_option() -> None:
    text = run("build", "--help").out
    for option in (
        "--board",
        "--backend",
        "--output",
        "--bits",
        "--weight-bits",
        "--activation-bits",
        "--input-bits",
        "--input-data",
        "--input-range",
        "--classes",
        "--output-kind",
        "--model-output",
        "--target-fps",
        "--max-utilization",
        "--folding",
        "--allow-oversize",
        "--until",
        "--check",
        "--quiet",
    ):
        assert option in text, option


def test_boards_are_listed_in_full() -> None:
    result = run("boards")
    assert result.code == 0
    for name in boards.names():
        board = boards.load(name)
        line = next(line for line in result.out.splitlines() if line.startswith(f"{name} "))
        for value in (board.part, f"{board.lut:,}", f"{board.ff:,}", f"{board.dsp:,}", f"{board.bram18:,}"):
            assert value in line.split()


def test_doctor_says_what_is_there_and_what_it_is_for() -> None:
    result = run("doctor")
    assert result.code == 0
    for name in ("torch", "brevitas", "finn-plus", "g++", "perl", "verilator", "pyosys", "vivado"):
        line = next(line for line in result.out.splitlines() if f" {name} " in line)
        assert line[0] in "✓–"
        if line[0] == "✓":
            assert re.search(r"\d+\.\d+", line)


@pytest.mark.parametrize("missing", ["perl", "g++"])
def test_doctor_names_what_is_missing_and_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    for program in {"perl", "g++"} - {missing}:
        (tmp_path / program).symlink_to(shutil.which(program))
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run("doctor")
    assert (result.code, result.err.splitlines()[0]) == (2, f"qap2fpga: missing: {missing}")
    line = next(line for line in result.out.splitlines() if f" {missing} " in line)
    assert line.startswith("✗")
    assert f"apt install {missing}" in line


def test_doctor_names_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in brackets is no markup."""
    monkeypatch.setattr(
        "qap2fpga.cli.doctor.EXTRAS", {"no-such-package": ("a test", "pip install 'qap2fpga[simulate]'")}
    )
    assert "pip install 'qap2fpga[simulate]'" in run("doctor").out


# ---- build


def test_a_build_leaves_a_report_and_every_model(folder: Path) -> None:
    result = folder / "one"
    results = {path.name for path in result.iterdir()}
    assert results == {*FILES, ".qap2fpga", "build.log", "report.html"}
    onnx.checker.check_model(onnx.load(result / "model.qonnx.onnx"), skip_opset_compatibility_check=True)
    report, model = report_of(result), random_model(3)
    assert report["schema"] == content.SCHEMA
    assert report["board"]["name"] == "pynq-z2"
    assert report["backend"] == "finn"
    assert report["versions"] == stamps.versions()
    for key in ("design", "interface", "timing", "fits"):
        assert report[key] is None
    assert (report["measurements"], report["predictions"]) == ([], [])
    described = report["model"]
    assert described["file"] == "net.pt"
    assert (described["inputs"], described["outputs"], described["rows"]) == (5, 3, 64)
    entry = described["input"]
    assert (entry["bits"], entry["signed"], entry["low"], entry["high"]) == (4, True, -8, 7)
    assert entry["scale"] == [float(model.ops[0].quantizer.scale)]
    network = storage.load(result / "network.npz")
    vectors = np.load(result / "vectors.npz")
    assert np.array_equal(vectors["recorded"], network.input.quantize(model.example))
    assert described["accuracy"] == (network.run(vectors["recorded"]).argmax(axis=1) == model.labels).mean()
    assert len(vectors["random"]) == 1000


def test_the_reports_layers_and_bops_are_those_of_the_graph(folder: Path) -> None:
    report, graph = report_of(folder / "one"), read(qonnx_graph(random_model(3)))
    counts = [facts.count(graph, lower(graph))[layer.name] for layer in graph.layers]
    for layer, one, count in zip(report["model"]["layers"], graph.layers, counts, strict=True):
        assert (layer["inputs"], layer["outputs"]) == one.weights.shape
        assert (layer["weight_bits"], layer["input_bits"]) == (4, 4)
        assert layer["zeros"] == (one.weights == 0).sum()
        assert layer["bops"]["paper"] == count.paper
        assert layer["bops"]["nonzero_products"] == count.nonzero_products
    assert report["model"]["bops"]["paper"] == pytest.approx(sum(count.paper for count in counts))
    assert [layer["name"] for layer in report["model"]["layers"]] == ["fc1", "fc2", "fc3"]


def test_every_comparison_is_in_the_report_and_has_no_mismatch(folder: Path) -> None:
    report = report_of(folder / "one")
    results = {one["engine"].split()[0]: one for one in report["simulations"]}
    assert set(results) == {"compacted", "torch", "qonnx"}
    assert all(one["mismatches"] == 0 and one["version"] for one in results.values())
    assert results["compacted"]["vectors"] >= 1064
    assert results["torch"]["rounding_ties"] is not None
    assert [one["outcome"] for one in report["checks"]] == ["passed"] * len(report["simulations"])


def test_a_second_run_finds_everything_there(folder: Path) -> None:
    result = folder / "one"
    before = {name: (result / name).read_bytes() for name in FILES}
    stamp = (result / "network.npz").stat().st_mtime_ns
    outcome = build(folder / "net.pt", result)
    assert outcome.code == 0
    assert "model: export, lower, compare  already there" in outcome.err
    assert (result / "network.npz").stat().st_mtime_ns == stamp
    assert {name: (result / name).read_bytes() for name in FILES} == before


@pytest.mark.parametrize("change", ["model", "data", "option"])
def test_another_input_is_another_build(folder: Path, tmp_path: Path, change: str) -> None:
    shutil.copytree(folder / "one", tmp_path / "one")
    model = save(tmp_path / "net.pt", random_model(4 if change == "model" else 3))
    more = {"model": [], "data": ["--input-data", folder / "data.npz"], "option": ["--classes", "a,b,c"]}[change]
    result = build(model, tmp_path / "one", *more)
    assert result.code == 0
    assert "already there" not in result.err


def test_the_same_input_gives_the_same_bytes(folder: Path) -> None:
    assert build(folder / "net.pt", folder / "two").code == 0
    for name in FILES:
        assert (folder / "one" / name).read_bytes() == (folder / "two" / name).read_bytes(), name


@pytest.mark.slow
def test_a_killed_build_resumes_to_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    """Killed at several moments, in a process with other hashes; what is left is whole or absent."""
    result = tmp_path / "killed"
    command = [sys.executable, "-m", "qap2fpga", "build", folder / "net.pt", "--board", "pynq-z2", "--until", "model"]
    for seconds in (0.0, 0.2, 0.7):
        environment = {**os.environ, "PYTHONHASHSEED": "7"}
        process = subprocess.Popen([*command, "--output", result], env=environment, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (result / ".qap2fpga" / "lock").exists():
            time.sleep(0.01)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for path in result.glob("*"):
            if path.name in FILES:
                assert path.read_bytes() == (folder / "one" / path.name).read_bytes()
    subprocess.run([*command, "--output", result, "--quiet"], check=True)
    for name in FILES:
        assert (result / name).read_bytes() == (folder / "one" / name).read_bytes(), name
    assert not list(result.glob(".*.*"))  # no half-written file


def test_an_interrupted_build_keeps_what_is_done(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    finn = backends.get("finn")
    with monkeypatch.context() as patched:
        patched.setattr(finn, "generate", interrupted)
        result = tmp_path / "new"
        outcome = run("build", folder / "net.pt", "--board", "pynq-z2", "--until", "generate", "--output", result)
    assert outcome.code not in (0, 2)
    assert "Traceback" not in outcome.err
    assert not (result / "report.json").exists()
    assert not (result / "finn").exists()
    outcome = build(folder / "net.pt", result)
    assert outcome.code == 0
    assert "already there" in outcome.err
    for name in FILES:
        assert (result / name).read_bytes() == (folder / "one" / name).read_bytes(), name


def test_a_build_interrupted_in_its_first_stage_leaves_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("qap2fpga.frontend.prepare.prepare", interrupted)
    assert build(folder / "net.pt", tmp_path / "deep" / "new").code not in (0, 2)
    assert not list(tmp_path.iterdir())


def test_quiet_prints_nothing(folder: Path) -> None:
    result = build(folder / "net.pt", folder / "quiet", "--quiet")
    assert (result.code, result.out, result.err) == (0, "", "")


def test_output_goes_to_builds_when_not_said(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("build", folder / "net.pt", "--board", "zcu104", "--until", "model")
    assert result.code == 0
    assert (tmp_path / "builds" / "net-finn-zcu104" / "report.json").is_file()
    assert "net-finn-zcu104" in run("report").out


def test_a_qonnx_file_gives_the_same_integers(folder: Path) -> None:
    assert build(folder / "net.onnx", folder / "onnx", "--input-data", folder / "data.npz").code == 0
    report, other = report_of(folder / "onnx"), report_of(folder / "one")
    assert [layer["zeros"] for layer in report["model"]["layers"]] == [
        layer["zeros"] for layer in other["model"]["layers"]
    ]
    assert report["model"]["accuracy"] == other["model"]["accuracy"]
    vectors = np.load(folder / "one" / "vectors.npz")["random"]
    networks = [storage.load(folder / name / "network.npz") for name in ("one", "onnx")]
    assert np.array_equal(networks[0].run(vectors), networks[1].run(vectors))


def test_classes_put_the_datas_labels_in_the_networks_order(folder: Path) -> None:
    """Labels are numbered by the data's own list; --classes says which output each is."""
    model = random_model(3)
    network = storage.load(folder / "one" / "network.npz")
    outputs = network.run(network.input.quantize(model.example)).argmax(axis=1)
    np.savez(folder / "perfect.npz", X=model.example, y=(outputs + 1) % 3, classes=np.array(["c", "a", "b"]))
    for classes, wanted in (("a,b,c", 1.0), ("b,c,a", 0.0)):
        more = ("--input-data", folder / "perfect.npz", "--classes", classes)
        assert build(folder / "net.pt", folder / classes, *more).code == 0
        assert report_of(folder / classes)["model"]["accuracy"] == wanted


@pytest.mark.parametrize("where", ["pt", "onnx"])
@pytest.mark.parametrize("given", ["data", "range"])
def test_a_model_without_input_quantizer_gets_one(folder: Path, tmp_path: Path, where: str, given: str) -> None:
    model = random_model(5, batch_norm=False)
    bare = type(model)(model.ops[1:], model.masks, {})
    if where == "pt":
        path = save(tmp_path / "bare.pt", bare)
    else:
        path = tmp_path / "bare.onnx"
        path.write_bytes(qonnx_graph(bare).model.SerializeToString())
    more = ["--input-data", folder / "data.npz"] if given == "data" else ["--input-range=-3,3.9", "--input-bits", "6"]
    result = build(path, tmp_path / "new", *more)
    assert result.code == 0
    report = report_of(tmp_path / "new")["model"]
    assert report["input"]["bits"] == (8 if given == "data" else 6)
    if given == "range":
        assert report["input"]["scale"] == [0.25]  # 31 * 0.125 = 3.875 does not reach 3.9
    assert any("has no input quantizer" in note for note in report["notes"])
    if given == "data":
        cost = report["input_quantizer_cost"]
        assert cost["same_class"] > 0.9
        assert {"accuracy_raw", "accuracy", "largest_difference", "rows"} <= set(cost)
        assert "input quantizer added" in result.out


@pytest.mark.parametrize(("how", "code"), [("fail", 1), ("warn", 0)])
def test_a_failed_check_is_exit_code_1(folder: Path, monkeypatch: pytest.MonkeyPatch, how: str, code: int) -> None:
    failing = Check.of("latency", "3 cycles", "5 cycles", False, "a FIFO is too shallow")
    monkeypatch.setattr(check, "all_checks", lambda report, *, allow_oversize: (failing,))
    result = build(folder / "net.pt", folder / f"check-{how}", "--check", how)
    assert result.code == code
    assert "latency: expected 3 cycles, found 5 cycles; a FIFO is too shallow" in result.out
    if code:
        assert "1 of 1 checks failed; latency: expected 3 cycles, found 5 cycles" in result.err
    assert (folder / f"check-{how}" / "report.json").is_file()


# ---- report


def test_report_shows_one_build(folder: Path) -> None:
    result = run("report", folder / "one")
    assert result.code == 0
    for text in ("net.pt, 5 inputs, 3 outputs", "xc7z020clg400-1", "accuracy", "fc2", "7×6", "Checks 3 of 3 passed"):
        assert text in result.out


def test_report_shows_builds_side_by_side(folder: Path) -> None:
    assert build(folder / "net.pt", folder / "other", "--input-data", folder / "data.npz").code == 0
    result = run("report", folder / "one", folder / "other")
    assert result.code == 0
    assert re.search(r"model +net\.pt +net\.pt", result.out)
    assert re.search(r"LUT +– +–", result.out)
    assert re.search(r"latency +– +–", result.out)


def test_report_as_json_is_the_file(folder: Path) -> None:
    result = run("report", folder / "one", "--json")
    assert json.loads(result.out) == report_of(folder / "one")
    several = json.loads(run("report", folder / "one", folder / "one" / "report.json", "--json").out)
    assert set(several) == {str(folder / "one"), str(folder / "one" / "report.json")}


def test_report_without_a_name_takes_the_newest(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("report")
    assert (result.code, result.err.splitlines()[0]) == (2, "qap2fpga: there is no build in builds/")
    for age, name in ((100, "older"), (50, "newer"), (200, "oldest")):
        shutil.copytree(folder / "one", tmp_path / "builds" / name)
        moment = time.time() - age
        os.utime(tmp_path / "builds" / name / "report.json", (moment, moment))
    assert run("report").out.splitlines()[0].strip() == str(Path("builds") / "newer")


@pytest.mark.parametrize(
    "content", [None, "", "{", "[1]", '{"schema": 99}', '{"a": 1}', b"\xff\xfe"], ids=lambda value: repr(value)
)
def test_what_is_no_report_is_said(tmp_path: Path, content: str | bytes | None) -> None:
    if content is not None:
        (tmp_path / "report.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    result = run("report", tmp_path)
    assert result.code == 2
    assert re.search(
        "no report in|not a report of this version|report.json (is no sound JSON|is no UTF-8|holds a)", result.err
    )
    assert str(tmp_path) in result.err


def test_a_signal_amid_the_import_of_torch_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    stopped: list[bool] = []
    torch = SimpleNamespace(__spec__=SimpleNamespace(_initializing=True))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(cli, "signals", [])
    monkeypatch.setattr(cli.tools, "stop", lambda: stopped.append(True))
    monkeypatch.setattr(os, "_exit", codes.append)
    with pytest.raises(SystemExit):
        cli._interrupted(signal.SIGINT, None)
    torch.__spec__._initializing = False
    with pytest.raises(SystemExit):
        cli._interrupted(signal.SIGINT, None)
    assert (codes, stopped, cli.signals) == ([130], [True, True], [signal.SIGINT, signal.SIGINT])
