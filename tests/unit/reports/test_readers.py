# SPDX-License-Identifier: Apache-2.0
"""Vendor reports: our own excerpts in the layouts of several versions, and the real ones where they are given."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from pathlib import Path

import pytest

from qap2fpga.hw.design import Measurement, Stage
from qap2fpga.reports import Cells, Parsed, Refused, read
from qap2fpga.reports.result import agreed, count, nanoseconds
from qap2fpga.system.errors import QapError

GOLDEN = Path(__file__).parents[2] / "golden" / "reports"
WITHOUT_NUMBERS = ("final_hw_config.json", "vivado_2019_power.rpt")
SOUND = sorted(path.name for path in GOLDEN.iterdir() if path.name not in WITHOUT_NUMBERS)


def test_vivado_hls_xml_without_uram_and_with_an_undefined_latency() -> None:
    parsed = read(GOLDEN / "vivado_hls_2018_csynth.xml")
    assert (parsed.tool, parsed.version, parsed.stage) == ("vivado_hls", "2018.2", Stage.HLS)
    assert (parsed.design, parsed.part) == ("layer", "xc7z007sclg225-1")
    assert parsed.resources == Cells(lut=345, ff=210, dsp=7, bram18=3)
    assert parsed.resources.uram is None and parsed.resources.lutram is None
    assert parsed.available == Cells(lut=14400, ff=28800, dsp=66, bram18=100)
    assert (parsed.latency_min, parsed.latency_max, parsed.interval_min, parsed.interval_max) == (None, 77, None, 78)
    assert (parsed.target_ns, parsed.period_ns, parsed.wns_ns) == (5.0, 4.125, None)
    assert not parsed.modules and not parsed.parts


def test_vitis_hls_xml_with_modules() -> None:
    parsed = read(GOLDEN / "vitis_hls_2022_csynth.xml")
    assert (parsed.tool, parsed.version) == ("vitis_hls", "2022.2")
    assert parsed.resources == Cells(lut=1000, ff=400, dsp=5, bram18=0, uram=2)
    assert parsed.available is None, "a field that is missing is None"
    assert parsed.parts == {"grp_dense_fu_1": Cells(lut=800, ff=310, dsp=5)}
    assert set(parsed.modules) == {"dense", "net"}
    assert (parsed.latency_min, parsed.latency_max, parsed.interval_min, parsed.interval_max) == (11, 12, 1, 2)


def test_csynth_text_of_both_tools_says_the_same_as_the_xml() -> None:
    for name in ("vivado_hls_2018_csynth", "vitis_hls_2022_csynth"):
        xml = read(GOLDEN / f"{name}.xml")
        text = read(GOLDEN / f"{name.replace('2022', '2023')}.rpt")
        for field in ("tool", "version", "stage", "design", "part", "resources", "target_ns", "period_ns",
                      "latency_min", "latency_max", "interval_min", "interval_max"):  # fmt: skip
            assert getattr(xml, field) == getattr(text, field), field
        assert text.clock == "ap_clk"


def test_csynth_text_has_the_whole_device_as_available_not_one_slr() -> None:
    parsed = read(GOLDEN / "vitis_hls_2023_csynth.rpt")
    assert parsed.available == Cells(lut=871680, ff=1743360, dsp=5952, bram18=2688, uram=640)
    assert parsed.percent == {"lut": "~0", "ff": "~0", "dsp": "~0", "bram18": "0", "uram": "~0"}
    assert parsed.parts == {"grp_dense_fu_1": Cells(lut=800, ff=310, dsp=5, bram18=0, uram=2)}


def test_synthesis_summary() -> None:
    parsed = read(GOLDEN / "vitis_hls_2024_summary.rpt")
    assert (parsed.kind, parsed.version, parsed.design) == ("csynth-summary", "2023.2", "net")
    assert parsed.resources == Cells(lut=1531, ff=580, dsp=9, bram18=8)
    assert (parsed.latency_min, parsed.latency_max, parsed.interval_max) == (None, 31, 17)
    assert list(parsed.modules) == ["net", "dense"], "loops are no modules"
    assert parsed.percent["ff"] == "~0"


def test_cosim_before_and_after_the_total_time_was_added() -> None:
    old, new = read(GOLDEN / "vivado_hls_2020_cosim.rpt"), read(GOLDEN / "vitis_hls_2024_cosim.rpt")
    assert (old.status, old.latency_min, old.latency_max, old.interval_min, old.interval_max) == ("Pass", 18, 21, 4, 5)
    assert (new.status, new.latency_min, new.interval_min) == ("Fail", 33, None)
    assert old.stage is None and old.measurement is None and "Verilog" in old.note and "VHDL" in new.note


def test_flat_utilization_of_7_series_after_synthesis() -> None:
    parsed = read(GOLDEN / "vivado_2018_utilization_synth.rpt")
    assert (parsed.stage, parsed.version, parsed.part) == (Stage.SYNTHESIS, "2018.2", "7z020clg400-1")
    assert parsed.resources == Cells(lut=1100, ff=3, dsp=9, bram18=7, lutram=100, carry=44)
    assert parsed.resources.uram is None, "7 series has no row of URAM"
    assert parsed.available == Cells(lut=53200, ff=106400, dsp=220, bram18=280, lutram=17400)
    assert parsed.percent["ff"] == "<0.01" and parsed.percent["bram18"] == "2.50"
    assert "black boxes, not counted: fifo_0" in parsed.note
    measurement = parsed.measurement
    assert isinstance(measurement, Measurement) and measurement.total.bram18 == 7
    assert (measurement.tool, measurement.version, measurement.stage) == ("vivado", "2018.2", Stage.SYNTHESIS)


def test_flat_utilization_of_ultrascale_after_routing() -> None:
    parsed = read(GOLDEN / "vivado_2024_utilization_routed.rpt")
    assert parsed.stage is Stage.ROUTED and parsed.note == ""
    assert parsed.resources == Cells(lut=1232, ff=900, dsp=0, bram18=4, lutram=32, carry=53, uram=1)


@pytest.mark.parametrize(
    "state, stage, note",
    [("Synthesized", Stage.SYNTHESIS, ""), ("Fully Placed", Stage.ROUTED, "placed"), ("Routed", Stage.ROUTED, ""),
     ("Physopt postPlace", Stage.ROUTED, "placed")],
)  # fmt: skip
def test_design_state_is_the_stage(tmp_path: Path, state: str, stage: Stage, note: str) -> None:
    parsed = read(changed(tmp_path, "vivado_2024_utilization_routed.rpt", "Physopt postRoute", state))
    assert parsed.stage is stage and parsed.note.startswith(note) and bool(parsed.note) == bool(note)


@pytest.mark.parametrize("state", ["", "Partially Routed", "Elaborated"])
def test_resources_without_a_stage_are_refused(tmp_path: Path, state: str) -> None:
    with pytest.raises(Refused, match="stage is not known"):
        read(changed(tmp_path, "vivado_2024_utilization_routed.rpt", "Physopt postRoute", state))


def test_state_of_the_platform_is_not_that_of_the_design(tmp_path: Path) -> None:
    parsed = read(changed(tmp_path, "vivado_2018_utilization_synth.rpt", "Synthesized", "Physopt postRoute"))
    assert parsed.stage is Stage.SYNTHESIS and "platform" in parsed.note


def test_hierarchy_in_text() -> None:
    parsed = read(GOLDEN / "vivado_2025_hierarchical.rpt")
    assert parsed.resources == Cells(lut=100, ff=90, dsp=4, bram18=5, lutram=17)
    assert set(parsed.parts) == {"(top)", "dense_0", "dense_1"}
    assert sum(part.lut or 0 for part in parsed.parts.values()) == 100
    assert parsed.modules["top/dense_0/relu"].lut == 20 and parsed.modules["top/dense_1/relu"].lut == 11
    assert parsed.stage is Stage.ROUTED and parsed.note == "placed, not routed"


def test_hierarchy_in_xml_states_no_version() -> None:
    parsed = read(GOLDEN / "vivado_2023_utilization.xml")
    assert parsed.resources == Cells(lut=70, ff=50, dsp=0, bram18=3, lutram=7)
    assert parsed.version is None and parsed.measurement is not None and parsed.measurement.version == "not stated"
    assert parsed.parts == {"inst": Cells(lut=66, ff=48, dsp=0, bram18=3, lutram=7)}


def test_slrs_are_summed_only_once_placed(tmp_path: Path) -> None:
    parsed = read(GOLDEN / "vivado_2022_slr.rpt")
    assert parsed.resources == Cells(lut=922, ff=1166, dsp=9, bram18=12, lutram=65, carry=41, uram=0)
    assert parsed.parts["SLR1"].bram18 == 3
    with pytest.raises(Refused, match="not placed"):
        read(changed(tmp_path, "vivado_2022_slr.rpt", "Routed", "Synthesized"))


def test_kernels_without_the_platform_and_without_rounded_block_ram() -> None:
    parsed = read(GOLDEN / "vivado_2022_kernels.rpt")
    assert parsed.resources == Cells(lut=300, ff=593, dsp=10, lutram=19, uram=0)
    assert parsed.resources.bram18 is None and "17 tiles" in parsed.note
    assert set(parsed.parts) == {"k_1", "k_2"} and parsed.percent["lut"] == "0.03"


def test_timing_summary_without_design_state_and_with_two_clocks() -> None:
    parsed = read(GOLDEN / "vivado_2019_timing_summary.rpt")
    assert (parsed.wns_ns, parsed.tns_ns, parsed.clock) == (-1.054, -77.251, "ap_clk")
    assert (parsed.target_ns, parsed.period_ns) == (5.0, 6.054)
    assert parsed.stage is Stage.ROUTED and "not met" in parsed.note


@pytest.mark.parametrize(
    "net, stage, note",
    [("unplaced", Stage.SYNTHESIS, "nets not placed"), ("estimated", Stage.ROUTED, "placed, not routed")],
)
def test_stage_of_timing_is_that_of_its_nets(tmp_path: Path, net: str, stage: Stage, note: str) -> None:
    parsed = read(changed(tmp_path, "vivado_2019_timing_summary.rpt", "routed)", f"{net})"))
    assert parsed.stage is stage and parsed.note.startswith(note)


def test_critical_clock_that_is_not_clear_is_not_chosen(tmp_path: Path) -> None:
    parsed = read(
        changed(tmp_path, "vivado_2019_timing_summary.rpt", "  slow             7.000", "  slow            -1.054")
    )
    assert parsed.wns_ns == -1.054 and parsed.clock is None and parsed.target_ns is None and parsed.period_ns is None
    assert "2 clocks" in parsed.note


def test_timing_without_constraints_has_no_slack() -> None:
    parsed = read(GOLDEN / "vivado_2025_timing_unconstrained.rpt")
    assert (parsed.wns_ns, parsed.tns_ns, parsed.target_ns, parsed.period_ns, parsed.clock) == (None,) * 5
    assert "no user specified timing constraints" in parsed.note


def test_timing_of_listed_paths_is_the_worst_of_them() -> None:
    parsed = read(GOLDEN / "vivado_2018_timing_paths.rpt")
    assert (parsed.wns_ns, parsed.period_ns, parsed.clock) == (0.9, 4.1, "ap_clk")
    assert parsed.tns_ns is None and parsed.stage is Stage.SYNTHESIS


def test_finn_estimates() -> None:
    parsed = read(GOLDEN / "estimate_layer_resources.json")
    assert parsed.stage is Stage.ESTIMATE and parsed.resources == Cells(lut=395, dsp=0, bram18=4, uram=0)
    assert parsed.resources.ff is None and parsed.parts["MVAU_0"].lut == 383
    hls = read(GOLDEN / "estimate_layer_resources_hls.json")
    assert hls.stage is Stage.HLS and hls.resources == Cells(lut=300, ff=100, dsp=5, bram18=1, uram=0)
    assert "summed here" in hls.note
    cycles = read(GOLDEN / "estimate_layer_cycles.json")
    assert cycles.interval_max == 14 and cycles.latency_max is None and cycles.measurement is None
    whole = read(GOLDEN / "estimate_network_performance.json")
    assert (whole.latency_max, whole.interval_max, whole.target_ns, whole.stage) == (33, 14, 10.0, Stage.ESTIMATE)


def test_finn_after_implementation(tmp_path: Path) -> None:
    parsed = read(GOLDEN / "post_synth_resources.json")
    assert parsed.stage is Stage.ROUTED and parsed.resources == Cells(lut=893, ff=655, dsp=0, bram18=17)
    part = tmp_path / "post_synth_resources_dcp.json"
    part.write_text((GOLDEN / "post_synth_resources.json").read_text())
    assert read(part).stage is Stage.SYNTHESIS
    alone = read(GOLDEN / "ooc_synth_and_timing.json")
    assert alone.stage is Stage.ROUTED and alone.resources == Cells(lut=1639, ff=1798, dsp=0)
    assert (alone.wns_ns, alone.target_ns, alone.period_ns) == (0.964, 10.0, 9.036)
    assert alone.resources.bram18 is None and "of which size is not stated" in alone.note


def test_finn_interval_needs_two_frames(tmp_path: Path) -> None:
    many = read(GOLDEN / "rtlsim_performance.json")
    assert (many.latency_max, many.interval_max, many.target_ns, many.stage) == (54, 16, 5.0, None)
    one = read(changed(tmp_path, "rtlsim_performance.json", '"N": 10', '"N": 1'))
    assert (one.latency_max, one.interval_max) == (54, None)
    with pytest.raises(Refused, match="did not end"):
        read(changed(tmp_path, "rtlsim_performance.json", '"TIMEOUT": 0', '"TIMEOUT": 1'))


@pytest.mark.parametrize("name, kind", [*zip(WITHOUT_NUMBERS, ("finn-final-hw-config", "power"), strict=True)])
def test_sound_reports_without_numbers_say_what_they_are(name: str, kind: str) -> None:
    with pytest.raises(Refused) as refused:
        read(GOLDEN / name)
    assert refused.value.whole and refused.value.kind == kind and isinstance(refused.value, QapError)


@pytest.mark.parametrize("name", SOUND)
def test_a_report_cut_off_anywhere_is_refused_or_whole(tmp_path: Path, name: str) -> None:
    whole, content = read(GOLDEN / name), (GOLDEN / name).read_bytes()
    place, refused = tmp_path / name, 0
    for end in range(0, len(content), max(1, len(content) // 100)):
        place.write_bytes(content[:end])
        try:
            assert read(place) == whole, f"cut off at byte {end}"
        except Refused:
            refused += 1
    assert refused > 30


@pytest.mark.parametrize("name", SOUND)
def test_a_damaged_report_raises_nothing_but_a_refusal(tmp_path: Path, name: str) -> None:
    content, place, chance = (GOLDEN / name).read_bytes(), tmp_path / name, random.Random(1)
    for _ in range(60):
        damaged = bytearray(content)
        for _ in range(chance.randrange(1, 5)):
            begin = chance.randrange(len(damaged) or 1)
            damaged[begin : begin + chance.randrange(1, 80)] = bytes([chance.randrange(256)]) * chance.randrange(3)
        place.write_bytes(damaged)
        try:
            assert isinstance(read(place), Parsed)
        except Refused as error:
            assert error.message and error.kind


@pytest.mark.parametrize(
    "name, content, why",
    [("a.rpt", b"", "empty"), ("a.rpt", b"hello\n", "no report"), ("a.rpt", b"\x7fELF\0\0", "binary"),
     ("a.xml", b"<profile><a>", "no sound XML"), ("a.xml", b"<other/>", "no report that is known"),
     ("a.xml", b"<!DOCTYPE a [<!ENTITY b 'c'>]><profile>&b;</profile>", "document type"),
     ("a.xml", b"<profile></profile>", "did not end"), ("a.json", b"{", "no sound JSON"),
     ("a.json", b"{}", "not the name of a report"), ("estimate_layer_cycles.json", b"[]", "not a table"),
     ("estimate_layer_cycles.json", b'{"a": NaN}', "not a number"), ("a.json", b"[" * 100000, "no sound JSON"),
     ("estimate_layer_resources.json", b'{"a": {"LUT": true}}', "not a number"),
     ("estimate_layer_resources.json", b'{"a": {"LUT": 1.5}}', "not a whole number"),
     ("estimate_layer_resources.json", b'{"a": {"LUT": 1}, "total": {"LUT": 2}}', "layers sum to"),
     ("estimate_layer_resources.json", b'{"a": {"depth": 1}}', "states no resources")],
)  # fmt: skip
def test_what_is_no_report_is_refused_with_the_reason(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Refused, match=why) as refused:
        read(tmp_path / name)
    assert not refused.value.whole and str(tmp_path / name) in str(refused.value)


def test_a_folder_or_a_missing_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.rpt"):
        with pytest.raises(Refused, match="cannot read"):
            read(path)


def test_two_reports_in_one_file_are_never_mixed(tmp_path: Path) -> None:
    place = tmp_path / "both.rpt"
    for names in (("vivado_2018_utilization_synth.rpt", "vivado_2024_utilization_routed.rpt"),
                  ("vivado_hls_2018_csynth.rpt", "vitis_hls_2023_csynth.rpt")):  # fmt: skip
        place.write_text("".join((GOLDEN / name).read_text() for name in names))
        with pytest.raises(Refused, match=r"2 reports|several"):
            read(place)


def test_one_number_under_two_spellings() -> None:
    assert agreed([0, 5, None], "k", "DSP") == 5 and agreed([0, 0], "k", "DSP") == 0 and agreed([], "k", "DSP") is None
    with pytest.raises(Refused, match="4 and 5"):
        agreed([4, 5], "k", "DSP")
    assert count("1,024", "k", "LUT") == 1024 and count("NA", "k", "LUT") is None
    with pytest.raises(Refused):
        count("-3", "k", "LUT")
    assert (nanoseconds("3.33 ns", "k", "t"), nanoseconds("5", "k", "t"), nanoseconds("0.46 us", "k", "t")) == (
        3.33,
        5,
        460,
    )
    with pytest.raises(Refused, match="unknown unit"):
        nanoseconds("3 parsec", "k", "t")


def test_windows_line_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    for name in SOUND:
        place = tmp_path / name
        place.write_bytes(b"\xef\xbb\xbf" + (GOLDEN / name).read_bytes().replace(b"\n", b"\r\n"))
        assert read(place) == read(GOLDEN / name)


def changed(folder: Path, name: str, old: str, new: str) -> Path:
    text = (GOLDEN / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    return folder / name


# What the folder of real reports holds, by what they were found to be.
PARSED = {
    "cosim": 1, "csynth-rpt": 14, "csynth-xml": 62, "finn-estimate-layer-cycles": 6,
    "finn-estimate-layer-resources": 6, "finn-estimate-layer-resources-hls": 4,
    "finn-estimate-network-performance": 6, "finn-ooc-synth-and-timing": 1, "finn-post-synth-resources": 3,
    "finn-rtlsim-performance": 6, "timing-paths": 4, "timing-summary": 15, "utilization": 37,
    "utilization-accelerator": 3, "utilization-hierarchical": 4, "utilization-slr": 2,
}  # fmt: skip
REFUSED = {
    "finn-estimate-layer-config-alternatives": 6, "finn-final-hw-config": 6, "finn-op-and-param-counts": 5,
    "finn-time-per-step": 4, "power": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def real(real_data: Path) -> dict[str, Parsed]:
    """Every real report that has numbers, by its path."""
    result, refused = {}, Counter[str]()
    for path in sorted((real_data / "reports").rglob("*")):
        if path.is_file() and path.name != "MANIFEST.tsv":
            try:
                result[path.relative_to(real_data / "reports").as_posix()] = read(path)
            except Refused as error:
                assert error.whole, error
                refused[error.kind] += 1
    assert refused == REFUSED
    return result


def test_every_real_report_is_read_or_refused(real: dict[str, Parsed]) -> None:
    assert Counter(found.kind for found in real.values()) == PARSED
    for found in real.values():
        assert found.resources is None or (found.measurement is not None and found.resources.lut is not None)


def one(real: dict[str, Parsed], *words: str) -> Parsed:
    paths = [path for path in real if all(word in path for word in words)]
    assert len(paths) == 1, paths
    return real[paths[0]]


def test_real_numbers_read_by_eye(real: dict[str, Parsed]) -> None:
    cardio = one(real, "CARDIO", "DSP_reuse1/", "csynth.rpt")
    assert cardio.resources == Cells(lut=2579, ff=3684, dsp=36, bram18=3, uram=0)
    assert (cardio.version, cardio.part, cardio.target_ns) == ("2021.1", "xc7z007s-clg225-2", 3.33)
    assert (cardio.period_ns, cardio.latency_max, cardio.interval_max) == (3.236, 29, 1)
    convolution = one(real, "nas-hls4ml", "conv_2d_large_cl_1_csynth.xml")
    assert (convolution.version, convolution.latency_min, convolution.latency_max) == ("2018.3", 949548, 1945292)
    assert convolution.resources == Cells(lut=1232, ff=576, dsp=1, bram18=1)
    assert one(real, "pixel_pack").latency_max is None
    cosim = one(real, "cosim.rpt")
    assert (cosim.status, cosim.latency_min, cosim.interval_max) == ("Pass", 142, None)
    board = one(real, "design_1_wrapper_utilization_placed.rpt")
    assert board.resources == Cells(lut=19879, ff=20767, dsp=9, bram18=14, lutram=290, carry=4372)
    assert (board.stage, board.note) == (Stage.ROUTED, "placed, not routed")
    assert "design_1_myproject_axi_0_0" in one(real, "design_1_wrapper_utilization_synth.rpt").note
    half = one(real, "fifo_hitdata_19x128")
    assert half.resources is not None and half.resources.bram18 == 1
    large = one(real, "model16", "utilization")
    assert large.resources == Cells(lut=130031, ff=108200, dsp=4962, bram18=160, lutram=15104, carry=5383, uram=0)
    assert (large.version, large.stage) == ("2018.2", Stage.SYNTHESIS)
    paths = one(real, "model4/", "timing")
    assert (paths.wns_ns, paths.target_ns, paths.stage) == (1.048, 5.0, Stage.SYNTHESIS)
    failing = one(real, "output_custom_2", "post_route_timing")
    assert (failing.wns_ns, failing.tns_ns, failing.clock, failing.period_ns) == (-1.985, -14.649, "clk_fpga_0", 11.985)
    kan = one(real, "JSC_OpenML", "post_impl_util")
    assert kan.resources == Cells(lut=1232, ff=900, dsp=0, bram18=0, lutram=0, carry=53, uram=0)
    tiny = one(real, "util_hier.rpt")
    assert tiny.resources == Cells(lut=9, ff=9, dsp=0, bram18=0, lutram=0) and tiny.version == "2025.1"
    assert one(real, "timing_post_route.rpt", "VM_tutorial").wns_ns is None


def test_real_reports_of_one_run_agree(real: dict[str, Parsed]) -> None:
    full, slr = one(real, "full_util_routed"), one(real, "slr_util_routed")
    assert full.resources == slr.resources and full.stage is slr.stage is Stage.ROUTED
    linked = one(real, "full_util_synthed")
    assert linked.stage is Stage.SYNTHESIS and linked.resources is not None and linked.resources.lut == 223298
    for path, found in real.items():
        if found.kind == "csynth-rpt":
            near = [real.get(path.rsplit("/", 1)[0] + "/" + name) for name in ("csynth.xml", "myproject_csynth.xml")]
            for xml in (one for one in near if one is not None and one.design == found.design):
                assert (xml.resources, xml.period_ns, xml.latency_max) == (
                    found.resources, found.period_ns, found.latency_max,
                )  # fmt: skip
        if path.endswith("post_synth_resources.json"):
            xml = real[path.replace(".json", ".xml")]
            assert xml.resources is not None and found.resources is not None and xml.stage is found.stage
            assert (xml.resources.lut, xml.resources.ff, xml.resources.bram18) == (
                found.resources.lut, found.resources.ff, found.resources.bram18,
            )  # fmt: skip


def test_real_tables_hold_what_is_read(real: dict[str, Parsed], real_data: Path) -> None:
    with (real_data / "tables" / "hls_projects_csynth.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    compared = 0
    for row in rows:
        start = f"{row['repo'].replace('/', '+')}/{row['project']}/"
        for path, result in real.items():
            if path.startswith(start) and result.kind == "csynth-xml" and result.design == row["top"]:
                cells = result.resources
                assert cells is not None
                stated = [row[name] for name in ("lut", "ff", "dsp", "bram")]
                assert [str(number) for number in (cells.lut, cells.ff, cells.dsp, cells.bram18)] == stated
                assert (result.version, result.part, result.target_ns) == (row["ver"], row["part"], float(row["clk"]))
                times = (result.latency_min, result.latency_max, result.interval_min, result.interval_max)
                assert ["undef" if time is None else str(time) for time in times] == [
                    row[name] for name in ("lat_best", "lat_worst", "ii_min", "ii_max")
                ]
                compared += 1
    assert compared >= 20
    with (real_data / "tables" / "finn_estimate_vs_actual.tsv").open() as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            start = f"{row['repo'].replace('/', '+')}/{row['dir']}/"
            if (result := real.get(start + "estimate_layer_resources.json")) is None or result.resources is None:
                continue
            assert (result.resources.lut, result.resources.bram18) == (float(row["est_LUT"]), float(row["est_BRAM"]))
            assert real[start + "rtlsim_performance.json"].latency_max == int(row["sim_lat"])
            assert real[start + "estimate_network_performance.json"].latency_max == int(row["est_lat"])
            actual = real.get(start + "post_synth_resources.json")
            if actual is not None and actual.resources is not None:
                assert (actual.resources.lut, actual.resources.ff) == (float(row["post_LUT"]), float(row["post_FF"]))
            alone = json.loads(row["ooc"])
            if alone:
                result = real[start + "ooc_synth_and_timing.json"]
                assert (result.resources or Cells()).lut == alone["LUT"] and result.wns_ns == alone["WNS"]
