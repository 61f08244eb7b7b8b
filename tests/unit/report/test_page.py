# SPDX-License-Identifier: Apache-2.0
"""The page: whole, small, safe with names of others, usable by keyboard, and honest about where numbers are from."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import sys
from copy import deepcopy
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from qap2fpga.report import gather, page, parts
from tests.support.command import run
from tests.support.reports import closed, finished, read
from tests.unit.report.test_compare import stands_in

VOID = {"meta", "link", "br", "img", "input", "hr", "rect", "path", "circle", "use"}
LIMIT = 2_000_000
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
# Folders in which Debian, Fedora and others put it.
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = os.environ.get("AXE_CORE")


class Page(HTMLParser):
    """All tags of a page in order, and the text; tags must close in the order they were opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def shown(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


WRITTEN = {"layer": "fc1", "how": "a loop", "after_compaction": 203, "in_source": 203, "multipliers": 203}


def full() -> dict[str, Any]:
    """A finished report with nodes, an interface and versions, as a build leaves it."""
    report = deepcopy(finished())
    cells = {"lut": 2000, "ff": 3000, "dsp": 12, "bram18": 4}
    report["predictions"][1]["parts"] = {"MVAU_rtl_0": cells, "qap_logits": {"lut": 500, "ff": 1}}
    measured = {"u_MVAU_rtl_0": {**cells, "lut": 1800}, "u_MVAU_rtl_0_weights": {**cells, "lut": 300, "dsp": 0}}
    report["measurements"][0]["parts"] = {**measured, "u_StreamingFIFO_rtl_0": {**cells, "lut": 70}}
    nodes = [{"name": "MVAU_rtl_0", "layer": "fc1"}, {"name": "qap_logits", "layer": "fc1"}]
    report["design"] |= {"folder": "finn/rtl", "sources": ["a.v", "b.v"], "nodes": nodes, "padded": ["fc1: 63 to 64"]}
    report["design"]["accuracy"] = {"output": "logits", "rows": 499, "value": 0.7615}
    quantizer = {"scale": [0.03125], "low": -128, "high": 127}
    port = {"name": "in0", "elements": 16, "lanes": 8, "bits": 8, "signed": True, "beats": 2, "beat_bits": 64}
    report["interface"] = {
        "clock": "ap_clk", "reset": "ap_rst_n", "handshake": "AXI4-Stream",
        "input": {**port, "layout": "in0: two beats", "quantizer": quantizer},
        "output": {**port, "name": "out0", "layout": "out0: two beats", "kind": "logits", "scale": "1/512"},
        "verilog": "finn_design the_name (\n  .ap_clk(clk) // a < b && c\n);", "vhdl": "the_name : entity work.top",
        "example": {"real": None, "integers": [1, -2], "input_bytes": ["fe01"], "output_bytes": ["07"],
                    "output_integers": [7], "output_values": [0.5]},
    }  # fmt: skip
    report["versions"] = {"qap2fpga": "0.1.0", "da4ml": None}
    report["model"]["sha256"] = "0123456789abcdef" * 4
    return closed(report)


def write(place: Path, **reports: dict[str, Any]) -> list[Path]:
    """Build folders below `place`."""
    for name, report in reports.items():
        (place / name).mkdir(parents=True, exist_ok=True)
        (place / name / "report.json").write_text(json.dumps(report))
    return [place / name for name in reports]


def rendered(place: Path, **reports: dict[str, Any]) -> Page:
    """The page of these reports, in `place` itself."""
    return Page(page.render(gather.gather(write(place, **reports)), place))


def cells(found: Page, head: str) -> list[str]:
    """The texts of the first table row whose header cell is `head`."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", found.text, re.S)
    for row in rows:
        texts = [
            html.unescape(re.sub(r"<[^>]+>", "", one)).strip() for one in re.findall(r"<t[hd].*?</t[hd]>", row, re.S)
        ]
        if texts and texts[0].split()[:1] == [head]:
            return texts[1:]
    raise AssertionError(head)


def check_structure(found: Page, place: Path) -> None:
    """What must hold of every page."""
    assert found.text.startswith("<!doctype html>")
    assert found.all("html")[0]["lang"] == "en"
    assert len(found.all("h1")) == 1
    assert len(found.text.encode()) < LIMIT
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for _, attributes in found.tags:
        for name in ("aria-labelledby", "aria-describedby"):
            assert set((attributes.get(name) or "").split()) <= set(ids)
    check_links(found, ids, place)
    check_tables(found)
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    check_nothing_from_outside(found)


def check_links(found: Page, ids: list[str | None], place: Path) -> None:
    """Every link leads to a place of the page or to a file."""
    links = [attributes["href"] or "" for tag, attributes in found.tags if tag in ("a", "use")]
    assert links
    for link in links:
        if link.startswith("#"):
            assert link[1:] in ids
        else:
            assert (place / unquote(link)).is_file(), link


def check_tables(found: Page) -> None:
    """Every table can be read and scrolled without a mouse."""
    tables, every = found.all("table"), [one for one in found.all("div") if "scroll" in (one.get("class") or "")]
    regions = [one for one in every if "drawn" not in (one.get("class") or "")]
    drawings = [one for one in found.all("svg") if one.get("class") == "drawing"]
    assert len(every) == len(regions) + len(drawings)
    assert all(one["role"] == "img" and one["aria-label"] for one in drawings)
    assert len(tables) == len(regions) == len(found.all("caption")) > 0
    for region in regions:
        assert (region["tabindex"], region["role"]) == ("0", "region")
        assert region["aria-label"]
    for head in found.all("th"):
        assert head["scope"] in ("col", "row", "colgroup")


def check_nothing_from_outside(found: Page) -> None:
    """No request, no script and no style but the page's own, whose hashes its policy names."""
    assert {tag for tag, _ in found.tags} & {"img", "link", "iframe", "object", "embed", "base", "form"} == set()
    for _, attributes in found.tags:
        assert not any(name.startswith("on") or name in ("style", "src", "srcset") for name in attributes)
    assert not re.search(r"https?:|url\(|@import", found.text)
    policy = next(one["content"] for one in found.all("meta") if one.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        assert len(found.all(tag)) == 1
        body = re.search(f"<{tag}>(.*?)</{tag}>", found.text, re.S)
        assert body is not None
        digest = base64.b64encode(hashlib.sha256(body[1].encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


# ---- one build


def test_a_page_of_one_build(tmp_path: Path) -> None:
    result = rendered(tmp_path, net=full())
    check_structure(result, tmp_path)
    shown = result.shown
    assert "✓ 6 of 6 checks passed" in shown
    assert "Equal to the integer network on every bit in 2 comparisons of up to 2,164 vectors." in shown
    assert "It fits pynq-z2 with 9.4 % of the LUTs used, by synthesis; not placed and routed." in shown
    assert "yosys 0.70, synthesis" in shown
    assert "137 cycles of 10 ns measured in simulation, at not confirmed" in shown
    assert cells(result, "fc1")[:5] == ["16×64", "16×60", "6", "8", "15"]
    assert cells(result, "fc1")[5:] == ["1,024", "205", "205", "80.0 %", "28,100", "9,840"]
    assert cells(result, "LUT") == ["4,900", "5,000", "53,200"]
    for wanted in ("finn/rtl/, top top, 2 sources", "0123456789abcdef", "not installed", "finn_design the_name ("):
        assert wanted in shown
    assert "a < b && c" in html.unescape(result.text)


def test_nodes_are_compared_with_their_predictions(tmp_path: Path) -> None:
    result = rendered(tmp_path, net=full())
    # A node's memory is an instance of its own and belongs to it.
    assert cells(result, "MVAU_rtl_0")[1:] == ["2,000", "2,100", "+5.0 %", "3,000 / 6,000", "12 / 12", "4 / 8"]
    assert cells(result, "qap_logits")[1:] == ["500", "–", "–", "1 / –", "– / –", "– / –"]
    assert cells(result, "StreamingFIFO_rtl_0")[1:4] == ["–", "70", "–"]
    assert cells(result, "outside")[1:4] == ["–", "2,830", "–"]
    widths = [float(one["width"] or 0) for one in result.all("rect") if one.get("class") == "fill"]
    largest = max(2100, 2830)
    assert round(100 * 2000 / largest, 2) in widths
    assert round(100 * 2100 / largest, 2) in widths


def test_what_is_outside_of_all_nodes_is_the_top_module_where_that_is_a_node() -> None:
    report = full()
    predicted = next(one for one in report["predictions"] if one["what"] == "resources")
    predicted["parts"][report["design"]["top"]] = {"lut": 2, "ff": 9}
    results = {one.name: one for one in parts.parts(read(report))}
    assert results[report["design"]["top"]].measured["lut"] == 2830 and "outside the nodes" not in results


def test_layers_shares_are_of_all_measured_luts() -> None:
    shares = parts.shares(parts.parts(read(full())))
    assert [(one.layer, one.lut) for one in shares] == [("fc1", 2100), (parts.BETWEEN, 2900)]
    assert sum(one.width for one in shares) == pytest.approx(100)
    assert shares[1].start == shares[0].width


def test_a_node_is_not_taken_for_one_whose_name_begins_alike() -> None:
    report = full()
    measured = {"u_MVAU_rtl_1": {"lut": 1}, "u_MVAU_rtl_10": {"lut": 10}, "u_MVAU_rtl_1_weights": {"lut": 2}}
    report["measurements"][0]["parts"] = measured
    report["predictions"][1]["parts"] = {"MVAU_rtl_1": {"lut": 5}, "MVAU_rtl_10": {"lut": 6}}
    results = {one.name: one.measured.get("lut") for one in parts.parts(read(report))}
    assert (results["MVAU_rtl_1"], results["MVAU_rtl_10"]) == (3, 10)


def test_failed_checks_come_first_and_say_why(tmp_path: Path) -> None:
    report = full()
    report["simulations"][1]["mismatches"] = 3
    report["measurements"][0]["total"]["lut"] = 60000
    result = rendered(tmp_path, net=closed(report))
    shown = result.shown
    assert "✗ 2 of 6 checks failed" in shown
    assert "Differs from the integer network in 3 vectors." in shown
    assert "It does not fit pynq-z2" in shown
    assert shown.index("LUT 60000 of 53200") < shown.index("Passed checks")
    assert "choose a larger board" in shown
    assert [one.get("open", "closed") for one in result.all("details")][:2] == [None, "closed"]
    assert "112.8 %" in shown
    assert any(one.get("class") == "bar over" for one in result.all("svg"))


def test_another_circuit_is_flagged_at_every_hardware_number(tmp_path: Path) -> None:
    report = stands_in()
    report["design"] = {"folder": "hls4ml", "top": "net", "sources": ["a.cpp"], "layers": [WRITTEN]}
    result = rendered(tmp_path, net=report)
    check_structure(result, tmp_path)
    shown = result.shown
    assert "Another circuit. No HLS tool has made hardware of this hls4ml C++." in shown
    tiles = re.findall(r"<li><span class=\"key\">(\w+)</span>(.*?)</li>", result.text, re.S)
    flagged = {name for name, rest in tiles if "rtl circuit, not hls4ml's" in html.unescape(rest)}
    assert flagged == {"LUT", "Latency", "Throughput"}
    assert "rtl circuit fits pynq-z2" in shown
    for title in ("Use of pynq-z2", "Cycles"):
        assert re.search(
            rf"{title}[^<]*(?:<span class=\"chip stage\">[^<]*</span>)?\s*<span class=\"chip warn\">rtl circuit",
            result.text,
        )
    assert cells(result, "fc1")[5:9] == ["1,024", "205", "205", "203"]
    beside = rendered(tmp_path / "two", one=report, two=full()).text
    assert "rtl circuit, not hls4ml" in beside[beside.index("<thead>") : beside.index("</thead>")]


def test_unknown_is_a_dash_and_never_0(tmp_path: Path) -> None:
    report = finished(lut=None, dsp=None, bram18=None)
    report["timing"]["latency_cycles"] = {"predicted": None, "measured": None}
    report["timing"]["latency_ns"] = report["timing"]["frames_per_second"] = None
    report["predictions"] = report["predictions"][:1]
    report["model"]["accuracy"] = None
    result = rendered(tmp_path, net=closed(report))
    assert cells(result, "LUT") == ["–", "53,200"]
    assert cells(result, "BRAM18") == ["–", "280"]
    assert cells(result, "latency,") == ["–", "–", "–"]
    tiles = dict(re.findall(r"<li><span class=\"key\">(\w+)</span> <strong>(.*?)</strong>", result.text))
    assert [tiles[name] for name in ("Accuracy", "LUT", "Latency")] == ["–", "–", "–"]


def test_stages_are_named_at_every_measurement(tmp_path: Path) -> None:
    report = full()
    routed = deepcopy(report["measurements"][0]) | {"tool": "Vivado", "version": "2024.1", "stage": "routed"}
    routed["total"]["lut"] = 4321
    report["measurements"].append(routed)
    result = rendered(tmp_path, net=closed(report))
    head = result.text[result.text.index("Cells by who counted them") :]
    names = re.findall(r'chip stage">([^<]*)<', head[: head.index("</thead>")])
    assert names == ["estimate", "synthesis", "placed and routed"]
    assert cells(result, "LUT") == ["4,900", "5,000", "4,321", "53,200"]
    assert "not placed and routed" not in result.shown


def test_a_build_that_has_not_come_so_far(tmp_path: Path) -> None:
    report = finished()
    report |= {"design": None, "interface": None, "timing": None, "measurements": [], "predictions": []}
    report["simulations"] = report["simulations"][:1]
    result = rendered(tmp_path, net=closed(report))
    check_structure(result, tmp_path)
    assert "Not synthesised: whether it fits the board is not known." in result.shown
    assert "Cells and the board" not in result.shown


def test_names_of_others_are_only_text(tmp_path: Path) -> None:
    report = full()
    report["model"]["file"] = report["board"]["title"] = report["design"]["top"] = HOSTILE
    report["model"]["notes"] = report["design"]["warnings"] = [HOSTILE]
    report["simulations"][0]["compared"] = report["interface"]["verilog"] = HOSTILE
    report["model"]["layers"][0]["name"] = report["design"]["nodes"][0]["layer"] = HOSTILE
    report["versions"][HOSTILE] = HOSTILE
    name = HOSTILE.replace("/", "")
    result = rendered(tmp_path, **{name: closed(report), f"javascript:{name}": report, "three": full()})
    check_structure(result, tmp_path)
    assert result.shown.count("<script>alert(1)") > 10
    assert not any("javascript:" in (one["href"] or "") for one in result.all("a"))


def test_the_same_reports_give_the_same_page(tmp_path: Path) -> None:
    assert rendered(tmp_path, a=full(), b=full()).text == rendered(tmp_path, a=full(), b=full()).text


# ---- several builds


def test_builds_are_compared_and_each_has_its_section(tmp_path: Path) -> None:
    small = full()
    small["measurements"][0]["total"]["lut"] = 4000
    result = rendered(tmp_path, a=full(), b=closed(small))
    check_structure(result, tmp_path)
    assert {"b1", "b2", "comparison", "plots"} <= {attributes.get("id") for _, attributes in result.tags}
    body = result.text[result.text.index('id="comparison"') :]
    assert re.search(r'<th scope="row">LUT</th><td class="num">5,000</td><td class="num best">4,000 ', body)
    assert '<tr class="same"><th scope="row">FF</th>' in body
    points = [one for one in result.all("a") if "LUTs" in (one.get("aria-label") or "")]
    assert [one["href"] for one in points] == ["#b1", "#b2"]
    # Only the best are stops of the tab key.
    assert [one.get("tabindex") for one in points] == ["-1", None]


def test_what_may_not_be_compared_is_said(tmp_path: Path) -> None:
    other = full()
    other["measurements"][0]["stage"] = "routed"
    other["board"]["name"] = "zcu104"
    result = rendered(tmp_path, a=full(), b=closed(other))
    assert "Not everything here may be compared." in result.shown
    assert "of the board's LUTs, LUT per BOP: different board, stage" in result.shown
    assert 'class="num best"' not in result.text
    assert "pynq-z2, synthesis" in result.shown
    assert "zcu104, routed" in result.shown


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """200 builds below `builds`, two of them wrong."""
    for index in range(200):
        report = full()
        report["measurements"][0]["total"]["lut"] = 4000 + 37 * index % 997
        report["model"]["accuracy"] = 0.7 + index / 5000
        report["simulations"][1]["mismatches"] = int(index in (3, 70))
        write(tmp_path / "builds", **{f"net-{index:03}": closed(report)})
    return tmp_path


def test_200_builds_are_one_small_page(many: Path) -> None:
    assert run("report", many / "builds", "--html", many / "pages" / "all.html", "--csv", many / "all.csv").code == 0
    result = Page((many / "pages" / "all.html").read_text())
    check_structure(result, many / "pages")
    links = [one["href"] for one in result.all("a")]
    assert len({one for one in links if one and one.startswith("../builds/net-")}) == 200
    rows = [one.get("id") for one in result.all("tr") if one.get("id")]
    assert rows == [f"b{number}" for number in range(1, 201)]
    assert result.text.count('<tr class="failed">') == 2
    assert len((many / "all.csv").read_text().splitlines()) == 201


def test_the_report_of_many_loads_nothing_heavy(many: Path) -> None:
    code = (
        "import sys; from qap2fpga.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'finn', 'qonnx', 'onnx', 'brevitas', 'numpy', 'matplotlib') if m in sys.modules])"
    )
    arguments = [sys.executable, "-c", code, "report", "builds", "--html", "all.html", "--csv", "all.csv"]
    done = subprocess.run(arguments, cwd=many, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert (many / "all.html").is_file()


# ---- as it is seen


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    digits = colour.lstrip("#")
    digits = "".join(2 * one for one in digits) if len(digits) == 3 else digits
    shares = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme: str) -> None:
    """WCAG AA: 4.5 for text, 3 for what is drawn."""
    style = (page.TEMPLATES / "style.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", style, re.S)
    colours = dict(re.findall(r"--([\w-]+): (#\w+)", light))
    colours |= dict(re.findall(r"--([\w-]+): (#\w+)", dark)) if scheme == "dark" else {}
    for text in ("text", "muted", "accent", "good", "bad", "warn"):
        backs = ["page", "card"] if text in ("text", "muted", "accent") else [f"{text}-soft", "card"]
        backs += ["soft"] if text in ("text", "muted") else []
        for back in backs:
            assert contrast(colours[text], colours[back]) >= 4.5, (text, back)
    for drawn in (*(f"c{number}" for number in range(6)), "accent", "bad"):
        assert contrast(colours[drawn], colours["card"]) >= 3, drawn


def looked_at(path: Path, *more: str) -> str:
    """What a page is after its scripts ran."""
    options = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--allow-file-access-from-files",
        f"--user-data-dir={path.parent / 'profile'}", "--window-size=1400,1000", "--dump-dom", *more,
    ]  # fmt: skip
    assert BROWSER is not None
    done = subprocess.run([BROWSER, *options, path.as_uri()], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None or AXE is None, reason="needs Chromium, and AXE_CORE: axe.min.js of npm")
@pytest.mark.parametrize("scheme", [0, 1], ids=["dark", "light"])
def test_axe_finds_no_violation(tmp_path: Path, scheme: int) -> None:
    """Names of links and regions, contrast, order of headings, with all that is closed opened."""
    builds = write(tmp_path, **{f"net-{index}": full() for index in range(12)})
    look = (
        "onload = () => { document.querySelectorAll('details').forEach(d => { d.open = true; });"
        "axe.run().then(r => { document.body.textContent = JSON.stringify(r.violations.map(v => v.id + ': '"
        "+ v.nodes.map(n => n.html).join(' '))); }); };"
    )
    assert AXE is not None
    for name, chosen in (("one", builds[:1]), ("few", builds[:3]), ("many", builds)):
        text = page.render(gather.gather(chosen), tmp_path)
        text = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", text)
        script = f"<script>{Path(AXE).read_text()}</script><script>{look}</script>"
        (tmp_path / f"{name}.html").write_text(text.replace("</body>", f"{script}</body>"))
        options = (f"--blink-settings=preferredColorScheme={scheme}", "--virtual-time-budget=20000")
        body = re.search(r"<body>(\[.*?\])</body>", looked_at(tmp_path / f"{name}.html", *options), re.S)
        assert body is not None and json.loads(html.unescape(body[1])) == []


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here to look at the page with")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_it_without_scrolling_sideways(tmp_path: Path, width: int) -> None:
    """In Chromium: no wider than the window, its script ran, and every wide table scrolls inside its own region."""
    builds = write(tmp_path, **{f"net-{index}": full() for index in range(12)})
    for name, chosen in (("one", builds[:1]), ("few", builds[:3]), ("many", builds)):
        (tmp_path / f"{name}.html").write_text(page.render(gather.gather(chosen), tmp_path))
        probe = (
            f'<iframe width={width} height=900 src="{name}.html"></iframe><script>onload = () => {{'
            "const d = document.querySelector('iframe').contentDocument, e = d.documentElement;"
            "const wide = [...d.querySelectorAll('table')].filter(t => t.scrollWidth > t.parentNode.clientWidth);"
            "document.body.textContent = JSON.stringify({page: e.scrollWidth, window: e.clientWidth,"
            "inside: wide.every(t => getComputedStyle(t.parentNode).overflowX == 'auto'),"
            "buttons: d.querySelectorAll('thead button').length});}</script>"
        )
        (tmp_path / "probe.html").write_text(probe)
        body = re.search(r"<body>(\{.*?\})", looked_at(tmp_path / "probe.html"))
        assert body is not None
        seen = json.loads(html.unescape(body[1]))
        assert seen["page"] <= seen["window"] <= width
        assert seen["inside"]
        assert (seen["buttons"] > 0) == (name == "many")
