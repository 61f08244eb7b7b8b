# SPDX-License-Identifier: Apache-2.0
# Stubs of Vivado's projects, block designs and runs (AMD UG835, UG994). A block design is a dictionary: its cells with
# their ports, and what is connected. A project is kept on disk, for the run of the next step.
#
# The ports are those of the blocks' product guides: PG082, PG201, PG021, PG247, PG164; of a module, those in its file.

array set blocks {
    processing_system7 {{DDR external FIXED_IO external M_AXI_GP0 master S_AXI_HP0 slave}
        {FCLK_CLK0 O FCLK_RESET0_N O M_AXI_GP0_ACLK I S_AXI_HP0_ACLK I}}
    zynq_ultra_ps_e {{M_AXI_HPM0_FPD master S_AXI_HP0_FPD slave}
        {pl_clk0 O pl_resetn0 O maxihpm0_fpd_aclk I saxihp0_fpd_aclk I}}
    axi_dma {{S_AXI_LITE slave M_AXI_MM2S master M_AXI_S2MM master M_AXIS_MM2S stream_master S_AXIS_S2MM stream_slave}
        {s_axi_lite_aclk I m_axi_mm2s_aclk I m_axi_s2mm_aclk I axi_resetn I}}
    smartconnect {{S00_AXI slave M00_AXI master} {aclk I aresetn I}}
    proc_sys_reset {{} {slowest_sync_clk I ext_reset_in I peripheral_aresetn O peripheral_reset O}}
}
# Ports that are there only after a property has been set.
array set switches {
    M_AXI_GP0 CONFIG.PCW_USE_M_AXI_GP0 S_AXI_HP0 CONFIG.PCW_USE_S_AXI_HP0
    M_AXI_HPM0_FPD CONFIG.PSU__USE__M_AXI_GP0 S_AXI_HP0_FPD CONFIG.PSU__USE__S_AXI_GP2
}
# The properties of the blocks that a script may set.
set knobs {
    PCW_USE_M_AXI_GP0 PCW_USE_S_AXI_HP0 PCW_FPGA0_PERIPHERAL_FREQMHZ PSU__USE__M_AXI_GP0 PSU__USE__M_AXI_GP1
    PSU__USE__M_AXI_GP2 PSU__USE__S_AXI_GP2 PSU__FPGA_PL0_ENABLE PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ NUM_SI NUM_MI
    c_include_sg c_sg_include_stscntrl_strm c_sg_length_width c_addr_width c_m_axi_mm2s_data_width
    c_m_axis_mm2s_tdata_width c_m_axi_s2mm_data_width
}
set bd [dict create name "" cells {} nets {} streams {} assigned 0 validated 0]
set project {}
set catalogue {}
foreach {block version} {
    processing_system7 5.5 zynq_ultra_ps_e 3.4 zynq_ultra_ps_e 3.5 axi_dma 7.1 smartconnect 1.0 proc_sys_reset 5.0
} {
    lappend catalogue xilinx.com:ip:$block:$version
}

proc need_cell {name} {
    need {[dict exists $::bd cells $name]} "\[BD 41-70\] there is no cell '$name'"
}

command get_board_parts {-quiet 0} 1 {
    set known [split [setting FAKE_BOARDS]]
    return [lsearch -all -inline $known $words]
}

command current_project {} 0 {return [dict get $::project name]}
command current_fileset {} 0 {return sources_1}

proc set_property {args} {
    record set_property {*}$args
    if {[lindex $args 0] eq "-dict"} {
        lassign [lrange $args 1 end] pairs object
    } else {
        set pairs [lrange $args 0 1]
        set object [lindex $args 2]
    }
    need {[llength $args] == 3 && $object ne ""} "\[Common 17-165\] set_property takes properties and an object"
    foreach {name value} $pairs {
        if {$name eq "board_part"} {
            need {$value in [split [setting FAKE_BOARDS]]} "\[Board 49-71\] there is no board part '$value'"
        } elseif {[string match CONFIG.* $name]} {
            need_cell $object
            need {[string range $name 7 end] in $::knobs} "\[BD 41-1276\] '$object' has no property '$name'"
            dict set ::bd cells $object properties $name $value
        } elseif {$name eq "ip_repo_paths"} {
            need {[file isdirectory $value]} "\[IP_Flow 19-2248\] there is no folder '$value'"
        } elseif {$name eq "top"} {
            need {[dict exists $::project wrapper]} "\[Common 17-55\] there is no module '$value'"
        } elseif {$name ne "synth_checkpoint_mode"} {
            stop "\[Common 17-54\] there is no property '$name'"
        }
        dict set ::project properties $name $value
    }
}

# Vivado copies the archive and reads the block's ports from it; the mock of the HLS tool wrote these as they are.
command update_ip_catalog {-rebuild 0 -add_ip 1 -repo_path 1} 0 {
    if {[dict exists $given -rebuild]} {return}
    set place [dict get $given -add_ip]
    need {[file isfile $place] && [file isdirectory [dict get $given -repo_path]]} "\[IP_Flow 19-3\] no archive '$place'"
    lassign [content $place] name ports
    lappend ::catalogue $name
    set ::blocks([lindex [split $name :] 2]) [list {} $ports]
}

command get_ipdefs {} 1 {return [lsearch -all -inline $::catalogue $words]}
command update_compile_order {-fileset 1} 0 {}

command create_bd_design {} 1 {
    need {[dict exists $::project part]} "\[Common 17-53\] no project is open"
    dict set ::bd name $words
}

# The streams and pins of a module, from the names in its file.
proc ports_of_module {name} {
    foreach file $::files_read {
        if {[file tail $file] ne "$name.v"} continue
        set text [content $file]
        need {[regexp "module\\s+$name\\M" $text]} "\[filemgmt 56-181\] '$file' has no module '$name'"
        set pins {}
        set streams {}
        foreach {all direction port} [regexp -all -inline {\m(input|output)\s+wire\s+(?:\[[^\]]*\]\s+)?(\w+)} $text] {
            if {[regexp {^([sm]_axis)_t(data|keep|last|valid|ready)$} $port all stream]} {
                dict lappend signals $stream $port
                dict set streams $stream [expr {$stream eq "s_axis" ? "stream_slave" : "stream_master"}]
            } else {
                lappend pins $port [expr {$direction eq "input" ? "I" : "O"}]
            }
        }
        foreach stream [dict keys $streams] {
            need {[llength [dict get $signals $stream]] == 5} "\[BD 5-390\] stream '$stream' has not all its signals"
        }
        return [list $streams $pins]
    }
    stop "\[filemgmt 56-195\] module '$name' is not in the project"
}

command create_bd_cell {-type 1 -vlnv 1 -reference 1} 1 {
    need {[dict get $::bd name] ne ""} "\[BD 5-216\] no block design is open"
    need {![dict exists $::bd cells $words]} "\[BD 5-104\] there is a cell '$words' already"
    if {[dict get $given -type] eq "ip"} {
        set name [dict get $given -vlnv]
        need {$name in $::catalogue} "\[BD 5-390\] IP definition not found for VLNV: $name"
        lassign $::blocks([lindex [split $name :] 2]) streams pins
    } else {
        lassign [ports_of_module [dict get $given -reference]] streams pins
    }
    dict set ::bd cells $words [dict create streams $streams pins $pins properties {}]
}

command get_bd_cells {} 1 {
    need_cell $words
    return $words
}

command apply_bd_automation {-rule 1 -config 1} 1 {
    need_cell $words
    need {[string match "xilinx.com:bd_rule:*" [dict get $given -rule]]} "\[BD 5-98\] there is no such rule"
    need {[llength [dict get $given -config]] % 2 == 0} "\[BD 5-98\] the configuration is not pairs"
    dict set ::bd automated 1
}

# Smartconnects have as many streams as they are told.
proc streams_of {cell} {
    set found [dict get $::bd cells $cell streams]
    foreach {property side mode} {CONFIG.NUM_SI S slave CONFIG.NUM_MI M master} {
        if {[dict exists $::bd cells $cell properties $property]} {
            for {set i 0} {$i < [dict get $::bd cells $cell properties $property]} {incr i} {
                dict set found [format %s%02d_AXI $side $i] $mode
            }
        }
    }
    dict for {name mode} $found {
        if {[info exists ::switches($name)]} {
            set on [expr {[dict exists $::bd cells $cell properties $::switches($name)]
                && [dict get $::bd cells $cell properties $::switches($name)]}]
            if {!$on} {dict unset found $name}
        }
    }
    return $found
}

command get_bd_intf_pins {} 1 {
    lassign [split $words /] cell name
    need_cell $cell
    need {[dict exists [streams_of $cell] $name]} "\[BD 5-232\] No interface pins matched '$words'"
    return $words
}

command get_bd_pins {} 1 {
    lassign [split [string trimleft $words /] /] cell pattern
    need_cell $cell
    set found {}
    foreach {pin direction} [dict get $::bd cells $cell pins] {
        if {[string match $pattern $pin]} {lappend found /$cell/$pin}
    }
    need {[llength $found]} "\[BD 5-235\] No pins matched '$words'"
    return $found
}

proc mode_of {stream} {
    lassign [split $stream /] cell name
    return [dict get [streams_of $cell] $name]
}

command connect_bd_intf_net {} 2 {
    lassign $words one other
    set modes [list [mode_of $one] [mode_of $other]]
    need {$modes in {{master slave} {stream_master stream_slave}}} "\[BD 41-171\] '$one' and '$other' do not fit: $modes"
    foreach stream $words {
        need {$stream ni [dict get $::bd streams]} "\[BD 5-3\] '$stream' is connected already"
        dict lappend ::bd streams $stream
    }
}

proc direction_of {pin} {
    lassign [split [string trimleft $pin /] /] cell name
    return [dict get [dict get $::bd cells $cell pins] $name]
}

command connect_bd_net {} 2 {
    lassign $words source target
    need {[direction_of $source] eq "O" && [direction_of $target] eq "I"} "\[BD 41-1\] '$source' cannot drive '$target'"
    need {![dict exists $::bd nets $target]} "\[BD 5-3\] '$target' is connected already"
    dict set ::bd nets $target $source
}

command assign_bd_address {} 0 {
    need {[llength [dict get $::bd streams]]} "\[BD 41-1356\] there is nothing to address"
    dict set ::bd assigned 1
}

command validate_bd_design {} 0 {
    need {[dict get $::bd assigned]} "\[BD 41-1356\] slave segments are not mapped"
    need {[dict exists $::bd automated]} "\[BD 41-758\] the processor's memory goes nowhere"
    misbehave [dict get $::project part]
    dict for {cell content} [dict get $::bd cells] {
        dict for {stream mode} [streams_of $cell] {
            need {$mode eq "external" || "$cell/$stream" in [dict get $::bd streams]} \
                "\[BD 41-759\] the interface '$cell/$stream' is not connected"
        }
        foreach {pin direction} [dict get $content pins] {
            need {$direction eq "O" || [dict exists $::bd nets /$cell/$pin]} \
                "\[BD 41-758\] the pin '/$cell/$pin' is not connected"
        }
    }
    dict set ::bd validated 1
}

command save_bd_design {} 0 {
    leave_file zynq/zynq.srcs/sources_1/bd/[dict get $::bd name]/[dict get $::bd name].bd $::bd
}

command get_files {} 1 {
    set place zynq/zynq.srcs/sources_1/bd/[file rootname $words]/$words
    need {[file exists $place]} "\[Vivado 12-818\] No files matched '$words'"
    return $place
}

command generate_target {} 2 {
    need {[dict get $::bd validated]} "\[BD 41-1030\] the block design is not validated"
    set handoff [expr {[setting FAKE_VERSION 2023.2] < "2020.2" ? "srcs" : "gen"}]
    leave_file zynq/zynq.$handoff/sources_1/bd/system/hw_handoff/system.hwh "<EDKSYSTEM/>"
}

command make_wrapper {-files 1 -import 0 -top 0} 0 {
    need {[dict get $::bd validated]} "\[BD 41-1030\] the block design is not validated"
    dict set ::project wrapper [file rootname [file tail [dict get $given -files]]]_wrapper
}

command close_project {} 0 {
    need {[dict exists $::project properties top]} "\[Common 17-53\] the project has no top"
    if {![mode noreport]} {
        leave_file zynq/zynq.xpr [list $::project [string is true -strict [dict exists $::bd cells core]]]
    }
}

# ---- runs

command open_project {} 1 {
    need {[file exists $words]} "\[Common 17-53\] there is no project '$words'"
    set ::project [lindex [content $words] 0]
    array set ::linked [list top [dict get $::project properties top] part [dict get $::project part]]
    array set ::runs {synth_1 {} impl_1 {}}
}

command reset_run {} 1 {
    set ::runs($words) {}
    file delete -force zynq/zynq.runs/$words
}

command launch_runs {-to_step 1} 1 {
    need {$words eq "synth_1" || $::runs(synth_1) eq "100%"} "\[Common 17-53\] synth_1 has not run"
    set ::runs($words) 0%
}

command get_runs {} 1 {
    need {[info exists ::runs($words)]} "\[Vivado 12-818\] No runs matched '$words'"
    return $words
}

proc get_property {name run} {
    return [dict get [dict create PROGRESS $::runs($run) DIRECTORY zynq/zynq.runs/$run \
        STATUS [expr {$::runs($run) eq "100%" ? "complete" : "ERROR"}]] $name]
}

# A run is a program of its own: what it prints stands in its own log only.
command wait_on_run {} 1 {
    set log zynq/zynq.runs/$words/runme.log
    if {$words eq "impl_1"} {misbehave $::linked(part)}
    if {[mode run]} {
        leave_file $log "ERROR: \[Place 30-487\] The packing of instances into the device could not be obeyed."
        return
    }
    if {[mode runmemory]} {
        leave_file $log "CRITICAL WARNING: \[Synth 8-4445\] could not open \$readmem data file './weights.dat'"
    } elseif {[mode runlicence]} {
        leave_file $log "ERROR: \[Common 17-345\] A valid license was not found for feature 'Implementation'"
        return
    } else {
        leave_file $log "INFO: \[Common 17-206\] Exiting Vivado"
    }
    set ::runs($words) 100%
    if {$words eq "impl_1"} {leave_file zynq/zynq.runs/impl_1/system_wrapper.bit bits}
}

command open_run {} 1 {
    need {$::runs($words) eq "100%"} "\[Common 17-53\] the run '$words' is not complete"
    set ::linked(clock) [setting FAKE_DIVIDED [expr {1000.0 / [clock_of_system]}]]
    set ::state Routed
}

# The frequency that the processor was asked for, in MHz.
proc clock_of_system {} {
    dict for {name value} [dict get $::project properties] {
        if {$name in {CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ}} {return $value}
    }
}

command write_hw_platform {-fixed 0 -include_bit 0 -force 0 -file 1} 0 {
    need {$::state eq "Routed"} "\[Common 17-53\] there is no routed design"
    leave_file [dict get $given -file] archive
}
