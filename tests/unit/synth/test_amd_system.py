# SPDX-License-Identifier: Apache-2.0
"""A design in a Zynq, with mocks of Vivado: every call, every way to fail, and what is left for the board."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from qap2fpga.hw import boards
from qap2fpga.hw.design import Stage
from qap2fpga.synth import amd as vendor
from qap2fpga.synth.amd import system
from qap2fpga.system.errors import CheckFailed, QapError
from tests.support.vendor import TOOLS, VIVADO, behaving, hls_project, needs_tclsh, rtl_design
from tests.unit.synth.test_amd_resume import ran
from tests.unit.synth.test_amd_steps import calls

PYNQ, KV260 = boards.load("pynq-z2"), boards.load("kv260")
STEPS = ["system", "bitstream"]
HLS = ["csynth", "export", *STEPS]
ZYNQ = ["kv260", "pynq-z1", "pynq-z2", "ultra96-v2", "zcu102", "zcu104"]


def design_plan(folder: Path, board: boards.Board = PYNQ, tools: vendor.Tools = TOOLS, **options) -> vendor.Plan:
    return vendor.plan(rtl_design(folder / "rtl"), board, folder / "work", tools, steps=STEPS, **options)


def test_no_system_is_made_around_streams_that_only_the_tool_knows(tmp_path: Path) -> None:
    project = hls_project(tmp_path / "made", streams_positions=True)
    with pytest.raises(QapError, match="only the HLS tool knows: no system is made") as caught:
        vendor.plan(project, PYNQ, tmp_path / "work", TOOLS, steps=HLS)
    assert "--io-type parallel" in caught.value.hint and not (tmp_path / "work").exists()
    vendor.plan(project, PYNQ, tmp_path / "work", TOOLS, steps=["csynth", "export"])
    flags = [line for line in (tmp_path / "work" / "settings.tcl").read_text().splitlines() if "bench_flags" in line]
    assert flags == ['set bench_flags "-std=c++0x -DQAP_INPUTS=2 -DQAP_OUTPUTS=1 -DQAP_STREAM"']


def hls_plan(folder: Path) -> vendor.Plan:
    return vendor.plan(hls_project(folder / "made"), PYNQ, folder / "work", TOOLS, steps=HLS)


@pytest.mark.parametrize("name", boards.names())
def test_which_boards_have_a_processor(tmp_path: Path, name: str) -> None:
    board = boards.load(name)
    assert system.has_processor(board) == (name in ZYNQ)
    if name in ZYNQ:
        assert (system.processor(board) == "processing_system7") == name.startswith("pynq")
        assert re.fullmatch(r"[\w.]+:[\w-]+:part0", board.board_part)
        return
    with pytest.raises(QapError) as caught:
        vendor.plan(rtl_design(tmp_path / "rtl"), board, tmp_path / "work", TOOLS, steps=STEPS)
    if board.part.startswith("xc"):
        assert f"{name} has no processor beside its logic" in caught.value.message
        assert "kv260, pynq-z1, pynq-z2" in caught.value.hint and not (tmp_path / "work").exists()


@needs_tclsh
def test_every_call_for_a_zynq_7000(tmp_path: Path) -> None:
    files = "tul.com.tw:pynq-z2:part0:1.0 tul.com.tw:pynq-z2:part0:1.10 x:zcu104:part0:1.0"
    results = [" ".join(words) for words in calls(design_plan(tmp_path), boards=files)]
    assert results[:12] == [
        "system create_project -force -part xc7z020clg400-1 zynq zynq",
        "system get_board_parts -quiet tul.com.tw:pynq-z2:part0:*",
        "system current_project",
        "system set_property board_part tul.com.tw:pynq-z2:part0:1.10 zynq",
        "system set_msg_config -id Synth 8-4445 -new_severity ERROR",
        "system add_files -norecurse rom.sv",
        "system add_files -norecurse top.v",
        "system add_files -norecurse qap_dma.v",
        "system add_files -norecurse qap_stream.v",
        "system add_files -norecurse weights.dat",
        "system update_compile_order -fileset sources_1",
        "system create_bd_design system",
    ]
    entries = [line for line in results if re.search("automation|set_property -dict|create_bd_cell|intf_net", line)]
    assert entries == [
        "system create_bd_cell -type ip -vlnv xilinx.com:ip:processing_system7:5.5 ps",
        "system apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 -config make_external {FIXED_IO, DDR}"
        " apply_board_preset 1 Master Disable Slave Disable ps",
        "system set_property -dict CONFIG.PCW_USE_M_AXI_GP0 1 CONFIG.PCW_USE_S_AXI_HP0 1"
        " CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ 100.0 ps",
        "system create_bd_cell -type ip -vlnv xilinx.com:ip:axi_dma:7.1 dma",
        "system set_property -dict CONFIG.c_include_sg 0 CONFIG.c_sg_include_stscntrl_strm 0"
        " CONFIG.c_sg_length_width 26 CONFIG.c_addr_width 32 CONFIG.c_m_axi_mm2s_data_width 64"
        " CONFIG.c_m_axis_mm2s_tdata_width 64 CONFIG.c_m_axi_s2mm_data_width 64 dma",
        "system create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect:1.0 control",
        "system set_property -dict CONFIG.NUM_SI 1 CONFIG.NUM_MI 1 control",
        "system create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect:1.0 memory",
        "system set_property -dict CONFIG.NUM_SI 2 CONFIG.NUM_MI 1 memory",
        "system create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset:5.0 reset",
        "system create_bd_cell -type module -reference qap_stream stream",
        "system connect_bd_intf_net ps/M_AXI_GP0 control/S00_AXI",
        "system connect_bd_intf_net control/M00_AXI dma/S_AXI_LITE",
        "system connect_bd_intf_net dma/M_AXI_MM2S memory/S00_AXI",
        "system connect_bd_intf_net dma/M_AXI_S2MM memory/S01_AXI",
        "system connect_bd_intf_net memory/M00_AXI ps/S_AXI_HP0",
        "system connect_bd_intf_net dma/M_AXIS_MM2S stream/s_axis",
        "system connect_bd_intf_net stream/m_axis dma/S_AXIS_S2MM",
    ]
    nets = [line.split()[2:] for line in results if "connect_bd_net" in line]
    assert {target for source, target in nets if source == "/ps/FCLK_CLK0"} == {
        "/ps/M_AXI_GP0_ACLK", "/ps/S_AXI_HP0_ACLK", "/reset/slowest_sync_clk", "/control/aclk", "/memory/aclk",
        "/dma/s_axi_lite_aclk", "/dma/m_axi_mm2s_aclk", "/dma/m_axi_s2mm_aclk", "/stream/aclk",
    }  # fmt: skip
    assert {target for source, target in nets if source == "/reset/peripheral_aresetn"} == {
        "/control/aresetn", "/memory/aresetn", "/dma/axi_resetn", "/stream/aresetn",
    }  # fmt: skip
    wrapper = "zynq/zynq.srcs/sources_1/bd/system/system.bd"
    at = results.index("system assign_bd_address")
    assert results[at:] == [
        "system assign_bd_address",
        "system validate_bd_design",
        "system save_bd_design",
        "system get_files system.bd",
        f"system set_property synth_checkpoint_mode None {wrapper}",
        f"system generate_target all {wrapper}",
        f"system make_wrapper -files {wrapper} -import -top",
        "system current_fileset",
        "system set_property top system_wrapper sources_1",
        "system update_compile_order -fileset sources_1",
        "system close_project",
        "bitstream open_project zynq/zynq.xpr",
        "bitstream reset_run synth_1",
        "bitstream launch_runs synth_1",
        "bitstream wait_on_run synth_1",
        *["bitstream get_runs synth_1"] * 2,
        "bitstream launch_runs impl_1 -to_step write_bitstream",
        "bitstream wait_on_run impl_1",
        *["bitstream get_runs impl_1"] * 2,
        "bitstream open_run impl_1",
        "bitstream report_utilization -file reports/bitstream_utilization.rpt",
        "bitstream report_utilization -hierarchical -file reports/bitstream_hierarchy.rpt",
        "bitstream report_timing_summary -file reports/bitstream_timing.rpt",
        "bitstream write_hw_platform -fixed -include_bit -force -file overlay/network.xsa",
        "bitstream get_runs impl_1",
    ]


@needs_tclsh
def test_every_call_for_an_ultrascale(tmp_path: Path) -> None:
    plan = design_plan(tmp_path, KV260)
    results = [" ".join(words) for words in calls(plan, boards="")]
    entries = [line for line in results if re.search("automation|dict CONFIG.PSU|zynq_ultra_ps_e|HP|pl_", line)]
    assert entries[:4] == [
        "system get_ipdefs xilinx.com:ip:zynq_ultra_ps_e:*",
        "system create_bd_cell -type ip -vlnv xilinx.com:ip:zynq_ultra_ps_e:3.5 ps",
        "system apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e -config apply_board_preset 0 ps",
        "system set_property -dict CONFIG.PSU__USE__M_AXI_GP0 1 CONFIG.PSU__USE__M_AXI_GP1 0"
        " CONFIG.PSU__USE__M_AXI_GP2 0 CONFIG.PSU__USE__S_AXI_GP2 1 CONFIG.PSU__FPGA_PL0_ENABLE 1"
        " CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ 200.0 ps",
    ]
    assert "system connect_bd_intf_net memory/M00_AXI ps/S_AXI_HP0_FPD" in results
    assert "system connect_bd_net /ps/pl_clk0 /ps/saxihp0_fpd_aclk" in results
    assert not any("set_property board_part" in line for line in results)
    assert "no board files 'xilinx.com:kv260_som:part0'" in (plan.folder / "logs" / "system.log").read_text()


@needs_tclsh
def test_the_block_of_an_hls_tool_is_put_beside_the_stream(tmp_path: Path) -> None:
    plan = vendor.plan(hls_project(tmp_path / "made"), PYNQ, tmp_path / "work", TOOLS, steps=HLS)
    results = [" ".join(words) for words in calls(plan)]
    added = next(line for line in results if "-add_ip" in line)
    assert added.startswith(f"system update_ip_catalog -add_ip {plan.folder}/hls_prj/solution1/impl/ip/")
    assert "system create_bd_cell -type ip -vlnv xilinx.com:hls:qap2fpga:1.0 core" in results
    nets = [line.split()[2:] for line in results if "connect_bd_net" in line and "core" in line]
    assert sorted(map(tuple, nets)) == sorted([
        ("/ps/FCLK_CLK0", "/core/ap_clk"), ("/reset/peripheral_reset", "/core/ap_rst"),
        ("/stream/core_start", "/core/ap_start"), ("/stream/core_start", "/core/features_ap_vld"),
        ("/core/ap_ready", "/stream/core_ready"), ("/stream/core_in", "/core/features"),
        ("/core/layer7_out_0_ap_vld", "/stream/core_result_0_vld"),
        ("/core/layer7_out_0", "/stream/core_result_0"),
    ])  # fmt: skip
    assert [line for line in results if "add_files" in line and line.startswith("system")] == [
        f"system add_files -norecurse {name}" for name in ("qap_dma.v", "qap_hls.v", "qap_stream.v")
    ]


@needs_tclsh
def test_what_is_found_and_what_is_left_for_the_board(tmp_path: Path) -> None:
    plan = design_plan(tmp_path)
    result, routed = vendor.run(plan)
    assert (result.step, result.measurement) == ("system", None)
    assert routed.measurement is not None and routed.measurement.stage is Stage.ROUTED
    assert "the whole system" in routed.measurement.note and "out of context" not in routed.measurement.note
    assert vendor.CAVEAT in routed.measurement.note
    assert (routed.measurement.total.lut, routed.target_ns, routed.wns_ns) == (1232, 10.0, -1.054)
    left = sorted(path.name for path in (plan.folder / "overlay").iterdir())
    assert left == ["network.bit", "network.hwh", "network.xsa"]
    assert ran(plan) == []


@needs_tclsh
def test_an_older_vivado_keeps_the_description_elsewhere(tmp_path: Path) -> None:
    plan = design_plan(tmp_path)
    vendor.run(plan, runner=behaving(version="2019.2"))
    assert (plan.folder / "overlay" / "network.hwh").is_file()
    assert (plan.folder / "zynq" / "zynq.srcs" / "sources_1" / "bd" / "system" / "hw_handoff").is_dir()


@needs_tclsh
@pytest.mark.parametrize("old, new, said", [
    ("connect_streams stream/m_axis dma/S_AXIS_S2MM", "", "'dma/S_AXIS_S2MM' is not connected"),
    ("dma/S_AXIS_S2MM", "dma/S_AXIS_S2M", "No interface pins matched 'dma/S_AXIS_S2M'"),
    ("connect_streams dma/M_AXIS_MM2S stream/s_axis", "connect_streams dma/M_AXIS_MM2S dma/S_AXI_LITE", "do not fit"),
    ("assign_bd_address\n", "", "not mapped"), ("validate_bd_design\n", "", "is not validated"),
    ("    stream/aclk\n", "", "'/stream/aclk' is not connected"), ("dma/axi_resetn", "", "not connected"),
    ("CONFIG.PCW_USE_S_AXI_HP0 1", "", "No interface pins matched 'ps/S_AXI_HP0'"),
    ("CONFIG.c_include_sg 0", "CONFIG.c_include_sgg 0", "'dma' has no property 'CONFIG.c_include_sgg'"),
    ("xilinx.com:ip:axi_dma:*", "xilinx.com:ip:axi_dna:*", "catalogue has no block xilinx.com:ip:axi_dna:*"),
    ("-reference qap_stream", "-reference qap_steam", "module 'qap_steam' is not in the project"),
    ("connect_pins ps/$ps(reset) reset/ext_reset_in", "connect_pins ps/$ps(reset) reset/aclk", "No pins matched"),
    ("generate_target all", "generate_targets all", "system: failed (1)"),
    ("set_property synth_checkpoint_mode", "set_property synth_checkpoints", "there is no property"),
])  # fmt: skip
def test_a_fault_in_the_block_design_is_found_by_the_mocks(tmp_path: Path, old: str, new: str, said: str) -> None:
    plan = design_plan(tmp_path)
    script = plan.folder / "system.tcl"
    text = script.read_text()
    assert old in text
    script.write_text(text.replace(old, new))
    with pytest.raises(QapError, match=re.escape(said)):
        vendor.run(plan)


@needs_tclsh
@pytest.mark.parametrize("step, mode, what", [
    ("system", "fail", "failed (1): ERROR: [HLS 214-157]"), ("system", "licence", "no licence"),
    ("system", "disk", "the disk is full"), ("system", "part", "the part xc7z020clg400-1 is not installed"),
    ("system", "crash", "it crashed (signal 11)"),
    ("system", "noreport", "it ended without an error, but wrote no project (zynq/zynq.xpr)"),
    ("bitstream", "fail", "failed (1)"), ("bitstream", "killed", "it crashed (signal 9)"),
    ("bitstream", "run", "failed (1): ERROR: [Place 30-487] The packing of instances"),
    ("bitstream", "runlicence", "no licence: ERROR: [Common 17-345]"),
    ("bitstream", "runmemory", "a memory's content was not found: ERROR: qap2fpga: could not open $readmem"),
    ("bitstream", "noreport", "it ended without an error, but wrote no report"),
    ("bitstream", "nothing", "it ended with code 0: it printed nothing"),
    ("bitstream", "stop", "it ended half-way"),
])  # fmt: skip
def test_every_failure_is_one_message_and_the_next_run_resumes(tmp_path: Path, step: str, mode: str, what: str) -> None:
    plan = design_plan(tmp_path)
    with pytest.raises(QapError) as caught:
        vendor.run(plan, runner=behaving(mode=f"{step}:{mode}"))
    assert caught.value.message.startswith(f"Vivado 2023.2, {step}: {what}") and "\n" not in caught.value.message
    assert str(plan.folder / "logs" / f"{step}.log") in caught.value.hint
    assert ran(plan) == STEPS[STEPS.index(step) :]
    assert ran(plan) == []


@needs_tclsh
def test_a_bitstream_that_hangs_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(QapError, match="it took more than 1 s and was stopped"):
        vendor.run(design_plan(tmp_path, time_limits_s={"bitstream": 1.0}), runner=behaving(mode="bitstream:hang"))


@needs_tclsh
@pytest.mark.parametrize("period, good", [("9.9", True), ("10.0001", True), ("10.5", False), ("8.0", False)])
def test_a_processor_hits_few_clocks_exactly(tmp_path: Path, period: str, good: bool) -> None:
    if good:
        assert vendor.run(design_plan(tmp_path), runner=behaving(divided=period))[1].target_ns == round(
            float(period), 3
        )
    else:
        with pytest.raises(CheckFailed, match=f"states a clock of {float(period):g} ns, not 10 ns"):
            vendor.run(design_plan(tmp_path), runner=behaving(divided=period))


@needs_tclsh
@pytest.mark.parametrize("change, repeated", [
    ("nothing", []), ("stream", STEPS), ("source", STEPS), ("board files", STEPS), ("vivado", STEPS),
    ("bit", ["bitstream"]), ("project", ["system"]),
])  # fmt: skip
def test_what_changed_is_repeated(tmp_path: Path, change: str, repeated: list[str]) -> None:
    vendor.run(design_plan(tmp_path))
    board, tools = PYNQ, TOOLS
    if change == "board files":
        board = replace(PYNQ, board_part="another:pynq-z2:part0")
    if change == "vivado":
        tools = vendor.Tools(None, replace(VIVADO, version="2024.1"))
    plan = design_plan(tmp_path, board, tools)
    if change in ("stream", "source"):
        path = plan.folder / {"stream": "qap_stream.v", "source": "top.v"}[change]
        path.write_text(path.read_text() + "// changed\n")
    if change == "bit":
        (plan.folder / "overlay" / "network.bit").unlink()
    if change == "project":
        shutil.rmtree(plan.folder / "zynq")
    assert ran(plan) == repeated


@needs_tclsh
def test_synthesis_alone_is_not_repeated_for_a_bitstream(tmp_path: Path) -> None:
    design = rtl_design(tmp_path / "rtl")
    vendor.run(vendor.plan(design, PYNQ, tmp_path / "work", TOOLS, steps=["synth"]))
    assert ran(vendor.plan(design, PYNQ, tmp_path / "work", TOOLS, steps=["synth", *STEPS])) == STEPS


def test_the_plan_names_its_steps(tmp_path: Path) -> None:
    plan = design_plan(tmp_path)
    assert [line.split(" -source ")[1] for line in plan.text.splitlines()[1:]] == [
        "system.tcl  # system, at most 3600 s", "bitstream.tcl  # bitstream, at most 43200 s",
    ]  # fmt: skip
    with pytest.raises(QapError, match="step 'bitstream' works on what 'system' makes"):
        vendor.plan(rtl_design(tmp_path / "rtl"), PYNQ, tmp_path / "work", TOOLS, steps=["bitstream"])
    with pytest.raises(QapError, match="step 'system' works on what 'export' makes"):
        vendor.plan(hls_project(tmp_path / "made"), PYNQ, tmp_path / "work", TOOLS, steps=["csynth", "system"])
