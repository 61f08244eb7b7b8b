# SPDX-License-Identifier: Apache-2.0
# Stubs of the HLS tools' commands (AMD UG1399, UG902). A project is kept on disk, as the tools do it.

set hls [dict create top "" files {} bench {} part "" clock "" synthesized 0]

proc keep_project {} {
    leave_file [file join $::project project.dict] $::hls
}

proc need_solution {} {
    need {[info exists ::solution]} "\[HLS 200-101\] no solution is open"
}

proc need_target {} {
    need_solution
    foreach {key what} {top "a top function" files "design files" part "a part" clock "a clock"} {
        need {[dict get $::hls $key] ne ""} "\[HLS 200-70\] the solution has not got $what"
    }
}

command open_project {-reset 0} 1 {
    set ::project $words
    if {[dict exists $given -reset]} {
        file delete -force $::project
    } elseif {[file exists [file join $::project project.dict]]} {
        set file [open [file join $::project project.dict]]
        set ::hls [string trim [read $file]]
        close $file
    }
    file mkdir $::project
}

command set_top {} 1 {
    dict set ::hls top $words
}

command add_files {-tb 0 -cflags 1} 1 {
    need {[file exists $words]} "\[HLS 200-40\] Cannot find design file '$words'"
    set cflags [expr {[dict exists $given -cflags] ? [dict get $given -cflags] : ""}]
    dict lappend ::hls [expr {[dict exists $given -tb] ? "bench" : "files"}] [list $words $cflags]
}

command open_solution {-reset 0} 1 {
    need {[info exists ::project]} "\[HLS 200-101\] no project is open"
    set ::solution [file join $::project $words]
    file mkdir $::solution
}

command set_part {} 1 {
    need_solution
    if {[mode part]} {stop "\[HLS 200-1023\] Part '$words' is not installed."}
    dict set ::hls part $words
}

command create_clock {-period 1 -name 1} 0 {
    need_solution
    dict set ::hls clock [dict get $given -period]
}

command set_clock_uncertainty {} 2 {
    need {[dict get $::hls clock] ne ""} "\[HLS 200-101\] there is no clock yet"
}

command config_compile {-name_max_length 1} 0 {}
command config_schedule {-enable_dsp_full_reg=false 0} 0 {}

# The testbench: compiled and run for real if asked to, else its vectors are counted.
proc run_bench {} {
    if {[mode mismatch]} {
        say "qap2fpga mismatch: vector 3, output 1 is 7, expected -2"
        say "qap2fpga: 100 vectors, 1 outputs differ"
        stop "\[SIM 211-100\] 'csim_design' failed: nonzero return value."
    }
    if {[setting FAKE_COMPILE] ne ""} {
        set command [list g++ {*}[setting FAKE_COMPILE] -I. -o bench.out]
        foreach entry [concat [dict get $::hls files] [dict get $::hls bench]] {
            if {[file isfile [lindex $entry 0]]} {lappend command {*}[lindex $entry 1] [lindex $entry 0]}
        }
        # The sources of a working folder do not change in a test, the answers do.
        if {![file exists bench.out]} {exec {*}$command >@ stdout 2>@ stdout}
        if {[catch {exec ./bench.out >@ stdout}]} {
            stop "\[SIM 211-100\] 'csim_design' failed: nonzero return value."
        }
        return
    }
    set file [open tb_data/tb_input_features.dat]
    set count [llength [split [string trim [read $file]] "\n"]]
    close $file
    if {[mode fewer]} {incr count -1}
    say "qap2fpga: $count vectors, 0 outputs differ"
}

command csim_design {} 0 {
    need_target
    need {[llength [dict get $::hls bench]]} "\[SIM 211-100\] there is no testbench"
    misbehave [dict get $::hls part]
    say "INFO: \[SIM 211-2\] *************** CSIM start ***************"
    run_bench
    say "INFO: \[SIM 211-1\] CSim done with 0 errors."
}

command csynth_design {} 0 {
    need_target
    misbehave [dict get $::hls part]
    set top [dict get $::hls top]
    set gaps [list @TOP@ $top @PART@ [dict get $::hls part] @CLOCK@ [format %.2f [dict get $::hls clock]]]
    # Vivado HLS names the report of the top by the top.
    set name [expr {$::hls_tool eq "vivado_hls" ? "${top}_csynth.xml" : "csynth.xml"}]
    leave [file join $::solution syn report $name] csynth.xml $gaps
    leave_file [file join $::solution syn verilog table.dat] 0f
    leave_file [file join $::solution syn verilog $top.v] \
        "module $top (input ap_clk, input ap_rst);\ninitial \$readmemh(\"./table.dat\", rom);\nendmodule"
    dict set ::hls synthesized 1
    keep_project
}

command cosim_design {-rtl 1 -trace_level 1} 0 {
    need_solution
    need {[dict get $::hls synthesized]} "\[COSIM 212-5\] there is no RTL: run csynth_design"
    misbehave [dict get $::hls part]
    run_bench
    set status [expr {[mode rtlfail] ? "Fail" : "Pass"}]
    leave [file join $::solution sim report [dict get $::hls top]_cosim.rpt] cosim.rpt [list @STATUS@ $status]
}

# What the mock of Vivado reads of the block: its name and its ports.
proc exported {} {
    set top [dict get $::hls top]
    regexp {QAP_OUTPUTS=(\d+)} [dict get $::hls bench] all outputs
    set ports {ap_clk I ap_rst I ap_start I ap_done O ap_idle O ap_ready O features I features_ap_vld I}
    for {set i 0} {$i < $outputs} {incr i} {lappend ports layer7_out_$i O layer7_out_${i}_ap_vld O}
    return [list xilinx.com:hls:$top:1.0 $ports]
}

command export_design {-format 1 -version 1} 0 {
    need_solution
    need {[dict get $::hls synthesized]} "\[IMPL 213-28\] there is no RTL: run csynth_design"
    misbehave [dict get $::hls part]
    if {![mode noreport]} {leave_file [file join $::solution impl ip xilinx_com_hls.zip] [exported]}
}
