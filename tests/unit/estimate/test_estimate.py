# SPDX-License-Identifier: Apache-2.0
"""Predictions: designs that are drawn, factors that are fitted, intervals, and when a calibration counts."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest
import yaml

from qap2fpga import backends
from qap2fpga.backends.finn.options import FinnOptions
from qap2fpga.estimate import calibrate, calibration, campaign, draw, estimate, fit
from qap2fpga.estimate.calibration import Calibration
from qap2fpga.estimate.command import estimate_all
from qap2fpga.frontend.checkpoint.widths import Widths
from qap2fpga.hw import boards
from qap2fpga.hw.design import NodeEstimate
from qap2fpga.system.errors import CheckFailed, QapError
from qap2fpga.system.files import read_json_lines

PYNQ = boards.load("pynq-z2")


def lines(count: int = 120, noise: float = 0.0, factor: float = 1.1) -> list[dict]:
    """Designs of two kinds of nodes that take `factor` and twice their estimates."""
    found = []
    for number in range(count):
        random = np.random.default_rng(number)
        a, b = (int(value) for value in random.integers(100, 3000, 2))
        lut = round((factor * a + 2 * b) * float(np.exp(random.normal(0, noise))))
        nonzeros = int(random.integers(20, 2000))
        found.append({
            "seed": number, "recipe": {"kind": ("layer", "network", "jet")[number % 3]},
            "network": [{"inputs": 16, "outputs": 8, "nonzeros": nonzeros, "weight_bits": 4, "input_bits": 4,
                         "accumulator_bits": 10}],
            "nodes": nodes(a, b),
            "parts": {"u_a": {"lut": round(lut * factor * a / (factor * a + 2 * b)), "ff": a}},
            "measured": {"lut": lut, "ff": a + b, "dsp": 3, "bram18": 0},
            "predicted": {"lut": a + b, "dsp": 3, "bram18": 0, "latency_cycles": 5, "interval_cycles": 1},
            "simulated": {"latency_cycles": 5, "interval_cycles": 1.0} if number % 5 == 0 else None,
        })  # fmt: skip
    return found


def nodes(a: int, b: int) -> list[NodeEstimate]:
    """Two nodes; synthesis reports the first as a part, the second is what is outside of it."""
    return [node(kind, some) for kind, some in (("a", a), ("b", b))]


def node(kind: str, some: int) -> NodeEstimate:
    features = {name: {kind: some} for name in ("lut", "ff")}
    return NodeEstimate(name=kind, layer="", estimate={}, features=features)


def fitted(**changes) -> tuple[dict, list]:
    return fit.fit("rtl", lines(**changes), ("0123", "4567"), "command", {"alkaid": "1", "pyosys": "2"})


def test_drawn_designs_are_spread_and_the_same_for_a_seed():
    chosen = draw.recipes(60, 3)
    assert chosen == draw.recipes(60, 3)
    kinds = Counter(one.kind for one in chosen)
    assert kinds == {"layer": 27, "network": 24, "jet": 9}
    # Every part of the list is a fair sample: a campaign that was stopped early is one too.
    assert Counter(one.kind for one in chosen[:20]) == {"layer": 9, "network": 8, "jet": 3}
    assert {bits for one in chosen for bits in one.weight_bits} == set(range(2, 9))
    assert len({one.power_of_two for one in chosen}) == len({one.family for one in chosen}) == 2


@pytest.mark.parametrize("number", range(12))
def test_a_drawn_network_is_what_its_recipe_says(number):
    recipe = draw.recipes(12, 7)[number]
    network = draw.network(recipe)
    for layer, bits in zip(network.layers, recipe.weight_bits, strict=True):
        assert layer.weight_width <= bits
    wanted = sum(
        round(density * a * b)
        for density, a, b in zip(recipe.density, recipe.widths, recipe.widths[1:], strict=False)
    )  # fmt: skip
    # Compaction takes dead neurons out, and every output has a weight at least.
    assert sum(layer.nonzeros for layer in network.layers) <= wanted + sum(recipe.widths[1:])
    if recipe.kind == "jet":
        assert sum(layer.nonzeros for layer in network.layers) > 0.8 * draw.JET_SIZE
    vectors = np.random.default_rng(1).integers(network.input.low, network.input.high, (50, network.inputs))
    assert len(np.unique(network.run(vectors), axis=0)) > 1


def test_factors_are_found_and_errors_are_of_designs_that_were_not_fitted():
    content, held = fitted()
    assert content["resources"]["lut"]["factors"] == pytest.approx({"a": 1.1, "b": 2.0}, abs=0.01)
    assert content["resources"]["ff"]["factors"] == pytest.approx({"a": 1.0, "b": 1.0}, abs=1e-4)
    assert content["designs"]["fitted"] + content["designs"]["held_back"] == 120 == 40 * 3
    large = [one for one in lines() if one["network"][0]["nonzeros"] >= draw.JET_SIZE]
    assert content["designs"]["held_back_of_jet_size"] == -(-len(large) * 2 // 3)
    assert len({one.seed for one in held}) == content["designs"]["held_back"]
    exact = {"differing": 0, "low": 1.0, "high": 1.0}
    assert content["counted"] == {
        "dsp": {"designs": 120, **exact},
        "bram18": {"designs": 120, **exact},
        "latency_cycles": {"designs": 24, **exact},
        "interval_cycles": {"designs": 24, **exact},
    }


def test_bops_alone_are_said_to_be_worth_little():
    band = fitted()[0]["lut_per_bop"]
    assert 0 < band["low"] < band["median"] < band["high"]
    one = lines()[0]
    alike = fit._per_bop([one])
    layer = one["network"][0]
    total = 16 * 8 * (layer["nonzeros"] / 128 * 16 + 4 + 4 + 4)
    assert alike["median"] == pytest.approx(one["measured"]["lut"] / total, abs=1e-4)


def test_noise_is_in_the_interval_and_in_the_published_error():
    content, held = fitted(noise=0.08)
    part = content["resources"]["lut"]
    assert 3 < part["held_back"]["all"]["mean_percent"] < 12
    for one in part["interval"]:
        assert one["low"] < 0.9 and one["high"] > 1.1
    assert sum(one.inside["lut"] for one in held) >= len(held) - 1
    quiet = fitted(noise=0.001)[0]["resources"]["lut"]["interval"]
    assert all(1.02 > one["high"] > 1 > one["low"] > 0.98 for one in quiet)


def test_an_interval_is_wider_than_what_was_seen_at_both_ends():
    """Also where all that was seen is on one side of the prediction, and hardly differs."""
    [one] = fit._intervals([(5025.0, 5000.0), (5030.0, 5000.0)] * 20)
    assert one["low"] < 0.999 and one["high"] > 1.015


def test_a_difference_in_what_must_be_exact_is_counted():
    changed = lines()
    changed[3]["measured"]["dsp"] = 4
    content, _ = fit.fit("rtl", changed, ("0123", "4567"), "command", {"alkaid": "1", "pyosys": "2"})
    assert content["counted"]["dsp"] == {"designs": 120, "differing": 1, "low": 1.0, "high": 1.4328}


def test_too_few_designs_are_no_calibration():
    with pytest.raises(QapError, match="too few"):
        fitted(count=40)


def test_failed_designs_are_counted_and_left_out():
    broken = [*lines(), {"seed": 500, "recipe": {"kind": "jet"}, "failed": "too large"}]
    content, _ = fit.fit("rtl", broken, ("0123", "4567"), "command", {"alkaid": "1", "pyosys": "2"})
    assert content["designs"]["failed"] == 1


def test_a_measured_part_of_no_node_is_an_error():
    changed = lines()
    changed[5]["parts"]["u_c"] = {"lut": 4, "ff": 4}
    with pytest.raises(QapError, match="design 5: nodes and measured parts differ: u_c"):
        fit.fit("rtl", changed, ("0123", "4567"), "command", {"alkaid": "1", "pyosys": "2"})


def test_outside_the_measured_range_is_said_and_widens():
    content, _ = fitted(noise=0.05)
    known = Calibration(content)
    inside = calibration.sizes(lines()[0]["network"])
    usual = known.predict("lut", nodes(400, 600), inside)
    beyond = known.predict("lut", nodes(400, 600), {**inside, "weight_bits": 16.0})
    assert not usual.outside and beyond.outside == ("weight_bits 16, measured 4 to 4",)
    assert usual.value == beyond.value == sum(known.of_node("lut", one) for one in nodes(400, 600))
    assert beyond.low < usual.low < usual.value < usual.high < beyond.high
    strange = known.predict("lut", [*nodes(400, 600), node("c", 100)], inside)
    assert strange.value == usual.value and strange.outside == ("c: not among the measured designs",)


def test_a_calibration_of_another_generator_does_not_count(monkeypatch):
    content, _ = fitted()
    network = draw.network(draw.recipes(1, 7)[0])
    monkeypatch.setattr(calibration, "load", lambda backend: Calibration(content))
    layers = calibration.layer_sizes(network)
    found = estimate.predict("rtl", nodes(100, 200), {"lut": 7, "dsp": 0}, layers, "xc7")
    assert estimate.calibrated("rtl", "xc7") and found["lut"].low < found["lut"].value < found["lut"].high
    assert estimate.calibrated("rtl", "ecp5") is None
    monkeypatch.setitem(content, "fingerprint", "of another program")
    found = estimate.predict("rtl", nodes(100, 200), {"lut": 7, "dsp": 0}, layers, "xc7")
    assert estimate.calibrated("rtl", "xc7") is None and (found["lut"].low, found["lut"].value) == (7, 7)


def test_the_fingerprint_is_of_what_is_generated_and_not_of_comments(tmp_path, monkeypatch):
    source = tmp_path / "backends" / "rtl" / "layer.py"
    source.parent.mkdir(parents=True)
    for name in calibration.GENERATORS["rtl"][1:]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    monkeypatch.setattr(calibration, "PACKAGE", tmp_path)

    def now(text: str) -> str:
        source.write_text(text)
        calibration.fingerprint.cache_clear()
        return calibration.fingerprint("rtl")

    first = now('"""A."""\ndef f():\n    """Doc."""\n    return 1\n')
    assert now('"""B."""\n# why\ndef f():\n    """Other."""\n    return 1\n') == first
    assert now('"""B."""\ndef f():\n    """Other."""\n    return 2\n') != first
    calibration.fingerprint.cache_clear()


def test_a_campaign_resumes_behind_what_is_there(tmp_path, monkeypatch):
    """A line that a kill cut off is measured again, a finished one is not."""
    chosen = draw.recipes(4, 1)
    results = tmp_path / "designs.jsonl"
    there = [{"seed": one.seed, "failed": "was there", "recipe": asdict(one)} for one in chosen]
    results.write_text(json.dumps(there[0]) + "\n" + json.dumps(there[1]) + "\n" + json.dumps(there[2])[:40])
    asked = []

    def each(work, jobs, processes, ended):
        asked.extend(jobs)
        for job in jobs[:-1]:
            ended(job, {"seed": job[1].seed, "failed": "new", "recipe": asdict(job[1])})
        ended(jobs[-1], None)

    monkeypatch.setattr(campaign, "each", each)
    found = campaign.run("rtl", chosen, results, 1, lambda text: None)
    assert [recipe.seed for _, recipe, _ in asked] == [chosen[2].seed, chosen[3].seed]
    assert [one["failed"] for one in found] == ["was there", "was there", "new", "its process ended"]
    assert [one["seed"] for one in read_json_lines(results)] == [one.seed for one in chosen]


def test_a_design_of_another_draw_is_measured_again(tmp_path, monkeypatch):
    chosen = draw.recipes(1, 1)
    results = tmp_path / "designs.jsonl"
    results.write_text(json.dumps({"seed": chosen[0].seed, "failed": "old", "recipe": {"kind": "other"}}) + "\n")
    monkeypatch.setattr(campaign, "each", lambda work, jobs, processes, ended: [ended(job, None) for job in jobs])
    assert campaign.run("rtl", chosen, results, 1, lambda text: None)[0]["failed"] == "its process ended"


@pytest.mark.parametrize("backend", ["rtl", "finn"])
def test_expectations_are_of_the_design_that_is_drawn(backend):
    """What a campaign measures and what is fitted to it are of one network, part by part."""
    recipe = draw.recipes(3, 1)[0]
    line = campaign._expect({"seed": recipe.seed, "backend": backend, "recipe": json.loads(json.dumps(asdict(recipe)))})
    assert line["network"] == calibration.layer_sizes(draw.network(recipe))
    assert all(set(node.features) == {"lut", "ff"} for node in line["nodes"])
    assert campaign._expect({"failed": "too large"}) == {}


def test_a_design_that_fails_is_a_line_and_a_bug_is_not(monkeypatch):
    recipe = draw.recipes(1, 1)[0]

    def refuse(*_: object) -> None:
        raise QapError("too large")

    def broken(*_: object) -> None:
        raise CheckFailed("not equal")

    monkeypatch.setattr(campaign, "_measured", refuse)
    assert campaign.measure("rtl", recipe, simulate=False)["failed"] == "too large"
    monkeypatch.setattr(campaign, "_measured", broken)
    with pytest.raises(CheckFailed, match="not equal"):
        campaign.measure("rtl", recipe, simulate=False)


def test_designs_of_other_hardware_are_not_mixed_in(tmp_path, monkeypatch):
    """Code that changed and makes the same hardware keeps the designs; code that makes other hardware does not."""
    monkeypatch.setattr(campaign, "run", lambda *_, **__: lines())
    monkeypatch.setattr(campaign, "with_expectations", lambda lines, processes: lines)
    monkeypatch.setattr(campaign, "expectations", lambda backend: "4567")

    def now(code: str, hardware: str) -> dict:
        monkeypatch.setattr(calibrate, "fingerprint", lambda backend: code)
        monkeypatch.setattr(fit, "fingerprint", lambda backend: code)
        monkeypatch.setattr(campaign, "specimens", lambda backend, processes: hardware)
        return calibrate.calibrate("rtl", 120, 0, 1, 1, tmp_path, lambda text: None)

    content = now("one", "same")
    assert (tmp_path / "calibration.yaml").is_file() and (tmp_path / "rtl.svg").stat().st_size > 1000
    text = (tmp_path / "rtl.md").read_text()
    assert f"{content['designs']['fitted']} random designs were fitted" in text
    again = now("two", "same")
    assert (again["fingerprint"], again["specimens"]) == ("two", "same")
    with pytest.raises(QapError, match="older generator"):
        now("three", "other")


def test_a_calibration_is_confirmed_by_the_hardware_and_what_is_expected_of_it(tmp_path, monkeypatch):
    path = tmp_path / "calibration.yaml"
    content, _ = fitted()
    calibrate._write(content | {"fingerprint": "of older code"}, path)
    before = path.read_bytes()
    for measured, wanted in (("changed", "4567"), ("0123", "changed")):
        monkeypatch.setattr(campaign, "specimens", lambda backend, processes, found=measured: found)
        monkeypatch.setattr(campaign, "expectations", lambda backend, found=wanted: found)
        assert not calibrate.confirm("rtl", 1, path) and path.read_bytes() == before
    monkeypatch.setattr(campaign, "expectations", lambda backend: "4567")
    assert calibrate.confirm("rtl", 1, path)
    assert yaml.safe_load(path.read_text()) == content
    with pytest.raises(QapError, match="there is no"):
        calibrate.confirm("rtl", 1, tmp_path / "none.yaml")


def test_what_finn_expects_needs_no_finn_and_says_what_does_not_fit():
    network = draw.network(draw.recipes(12, 7)[1])
    expected = backends.get("finn").expect(network, PYNQ, FinnOptions())
    assert expected.interval_cycles >= 1 and expected.total["lut"] == sum(
        node.estimate["lut"] for node in expected.nodes
    )
    tiny = estimate.estimate(network, "finn", replace(PYNQ, dsp=1), FinnOptions())
    assert tiny.refused and tiny.fits is None
    assert estimate.estimate(network, "finn", PYNQ, FinnOptions()).fits


def test_an_estimate_that_nobody_can_make_is_refused(tmp_path):
    model = tmp_path / "model.pt"
    model.write_bytes(b"")
    with pytest.raises(QapError, match="the finn backend has no option --strategy"):
        estimate_all(model, Widths(), None, None, "finn", [PYNQ], {"strategy": "latency"})
    with pytest.raises(QapError, match="unknown backend 'fin'"):
        estimate_all(model, Widths(), None, None, "fin", [PYNQ], {})
    with pytest.raises(QapError, match="does not exist"):
        estimate_all(tmp_path / "none.pt", Widths(), None, None, None, [PYNQ], {})


def test_comments_and_docstrings_are_no_code():
    text = '"""Doc."""\n\n\ndef f(a):  # why\n    """Other.\n\n    More.\n    """\n    return f"#{a}"  # so\n'
    assert calibration._code(text) == b'def f(a):\n    return f"#{a}"'


@pytest.mark.parametrize("backend", ["rtl", "finn"])
def test_the_shipped_calibration_is_of_this_program(backend):
    """Where this fails after a change that changes no hardware: `qap2fpga calibrate --backend ... --confirm`."""
    known = calibration.load(backend)
    assert known is not None and known.current
