# SPDX-License-Identifier: Apache-2.0
# A block design for a Zynq: the processor, a DMA, and the network behind the module qap_stream; all at one clock, which
# the processor makes. settings.tcl and system_settings.tcl beside it say of what. Software finds the DMA under the name "dma".
set here [file dirname [info script]]
source [file join $here settings.tcl]
source [file join $here system_settings.tcl]

# The newest block of Vivado's catalogue: versions change with Vivado's.
proc newest {pattern} {
    set found [lsort -dictionary [get_ipdefs $pattern]]
    if {![llength $found]} {
        error "ERROR: qap2fpga: Vivado's catalogue has no block $pattern"
    }
    return [lindex $found end]
}

proc connect_streams {master slave} {
    connect_bd_intf_net [get_bd_intf_pins $master] [get_bd_intf_pins $slave]
}

# One pin to every pin of a list.
proc connect_pins {source targets} {
    foreach target $targets {
        connect_bd_net [get_bd_pins $source] [get_bd_pins $target]
    }
}

create_project -force -part $part zynq zynq
# Board files hold the processor's pins and memory. Under PYNQ the board's boot has set these; bare metal needs them.
set boards [lsort -dictionary [get_board_parts -quiet $board_part:*]]
set preset [expr {$board_part ne "" && [llength $boards] > 0}]
if {$preset} {
    set_property board_part [lindex $boards end] [current_project]
} else {
    puts "WARNING: qap2fpga: no board files '$board_part': this bitstream is for PYNQ only, not for bare metal"
}
# A memory whose content is not found would silently be all zeros: another network.
set_msg_config -id {Synth 8-4445} -new_severity ERROR
foreach file [concat $system_sources $system_memories] {
    add_files -norecurse $file
}
if {$hls_outputs > 0} {
    set archives {}
    foreach pattern $ip_archives {
        lappend archives {*}[lsort [glob -nocomplain $pattern]]
    }
    file delete -force ip
    file mkdir ip
    set_property ip_repo_paths [file normalize ip] [current_project]
    update_ip_catalog -rebuild
    update_ip_catalog -add_ip [file normalize [lindex $archives 0]] -repo_path [file normalize ip]
}
update_compile_order -fileset sources_1

create_bd_design system
create_bd_cell -type ip -vlnv [newest xilinx.com:ip:$processor:*] ps
if {$processor eq "processing_system7"} {
    apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 -config [list make_external "FIXED_IO, DDR" \
        apply_board_preset $preset Master Disable Slave Disable] [get_bd_cells ps]
    set_property -dict [list CONFIG.PCW_USE_M_AXI_GP0 1 CONFIG.PCW_USE_S_AXI_HP0 1 \
        CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ $clock_mhz] [get_bd_cells ps]
    array set ps {clock FCLK_CLK0 reset FCLK_RESET0_N control M_AXI_GP0 memory S_AXI_HP0}
    set ps_clocks {ps/M_AXI_GP0_ACLK ps/S_AXI_HP0_ACLK}
    set address_bits 32
} else {
    apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e -config [list apply_board_preset $preset] \
        [get_bd_cells ps]
    set_property -dict [list CONFIG.PSU__USE__M_AXI_GP0 1 CONFIG.PSU__USE__M_AXI_GP1 0 CONFIG.PSU__USE__M_AXI_GP2 0 \
        CONFIG.PSU__USE__S_AXI_GP2 1 CONFIG.PSU__FPGA_PL0_ENABLE 1 \
        CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ $clock_mhz] [get_bd_cells ps]
    array set ps {clock pl_clk0 reset pl_resetn0 control M_AXI_HPM0_FPD memory S_AXI_HP0_FPD}
    set ps_clocks {ps/maxihpm0_fpd_aclk ps/saxihp0_fpd_aclk}
    set address_bits 40
}

create_bd_cell -type ip -vlnv [newest xilinx.com:ip:axi_dma:*] dma
set_property -dict [list CONFIG.c_include_sg 0 CONFIG.c_sg_include_stscntrl_strm 0 \
    CONFIG.c_sg_length_width $length_bits CONFIG.c_addr_width $address_bits \
    CONFIG.c_m_axi_mm2s_data_width $word_bits CONFIG.c_m_axis_mm2s_tdata_width $word_bits \
    CONFIG.c_m_axi_s2mm_data_width $word_bits] [get_bd_cells dma]
create_bd_cell -type ip -vlnv [newest xilinx.com:ip:smartconnect:*] control
set_property -dict [list CONFIG.NUM_SI 1 CONFIG.NUM_MI 1] [get_bd_cells control]
create_bd_cell -type ip -vlnv [newest xilinx.com:ip:smartconnect:*] memory
set_property -dict [list CONFIG.NUM_SI 2 CONFIG.NUM_MI 1] [get_bd_cells memory]
create_bd_cell -type ip -vlnv [newest xilinx.com:ip:proc_sys_reset:*] reset
create_bd_cell -type module -reference qap_stream stream

connect_streams ps/$ps(control) control/S00_AXI
connect_streams control/M00_AXI dma/S_AXI_LITE
connect_streams dma/M_AXI_MM2S memory/S00_AXI
connect_streams dma/M_AXI_S2MM memory/S01_AXI
connect_streams memory/M00_AXI ps/$ps(memory)
connect_streams dma/M_AXIS_MM2S stream/s_axis
connect_streams stream/m_axis dma/S_AXIS_S2MM
connect_pins ps/$ps(clock) [concat $ps_clocks {
    reset/slowest_sync_clk control/aclk memory/aclk dma/s_axi_lite_aclk dma/m_axi_mm2s_aclk dma/m_axi_s2mm_aclk
    stream/aclk
}]
connect_pins ps/$ps(reset) reset/ext_reset_in
connect_pins reset/peripheral_aresetn {control/aresetn memory/aresetn dma/axi_resetn stream/aresetn}

# The block of an HLS tool stands beside the stream. It names the ports of its results after a variable of the C++.
if {$hls_outputs > 0} {
    create_bd_cell -type ip -vlnv [newest xilinx.com:hls:$top:*] core
    set valid [lsort -dictionary [get_bd_pins core/*_ap_vld]]
    set inputs [lsearch -all -inline $valid */${hls_input}*_ap_vld]
    set outputs [lsearch -all -inline -not $valid */${hls_input}*_ap_vld]
    if {[llength $inputs] != 1 || [llength $outputs] != $hls_outputs} {
        error "ERROR: qap2fpga: the block has other ports than were expected: $valid"
    }
    connect_pins ps/$ps(clock) core/ap_clk
    connect_pins reset/peripheral_reset core/ap_rst
    connect_pins stream/core_start [list core/ap_start [lindex $inputs 0]]
    connect_pins core/ap_ready stream/core_ready
    connect_pins stream/core_in [string range [lindex $inputs 0] 0 end-7]
    set number 0
    foreach pin $outputs {
        connect_pins $pin stream/core_result_${number}_vld
        connect_pins [string range $pin 0 end-7] stream/core_result_$number
        incr number
    }
}

assign_bd_address
validate_bd_design
save_bd_design
set design [get_files system.bd]
# One synthesis run for everything, with one log.
set_property synth_checkpoint_mode None $design
generate_target all $design
make_wrapper -files $design -import -top
set_property top system_wrapper [current_fileset]
update_compile_order -fileset sources_1
close_project
puts "qap2fpga: system finished"
exit
