# SPDX-License-Identifier: Apache-2.0
# The bitstream of what system.tcl left, with the routed system's reports, and what PYNQ and bare metal load.
proc content {name} {
    set file [open $name]
    set text [read $file]
    close $file
    return $text
}

# Runs are programs of their own. Their logs are shown, since a cause stands only there.
proc complete {run args} {
    catch {
        launch_runs $run {*}$args
        wait_on_run $run
    } message
    set log [file join [get_property DIRECTORY [get_runs $run]] runme.log]
    set text [expr {[file exists $log] ? [content $log] : ""}]
    puts $text
    if {[string first "Synth 8-4445" $text] >= 0} {
        error "ERROR: qap2fpga: could not open \$readmem data file, see above"
    }
    if {[get_property PROGRESS [get_runs $run]] ne "100%"} {
        error "ERROR: qap2fpga: the run $run ended as '[get_property STATUS [get_runs $run]]': $message"
    }
}

open_project zynq/zynq.xpr
reset_run synth_1
complete synth_1
complete impl_1 -to_step write_bitstream
open_run impl_1
file mkdir reports overlay
report_utilization -file reports/bitstream_utilization.rpt
report_utilization -hierarchical -file reports/bitstream_hierarchy.rpt
report_timing_summary -file reports/bitstream_timing.rpt
# Versions before 2019.2 hand over to software in another way.
if {[llength [info commands write_hw_platform]]} {
    write_hw_platform -fixed -include_bit -force -file overlay/network.xsa
}
# PYNQ wants both under one name. Newer versions keep what they generate in another folder.
file copy -force [file join [get_property DIRECTORY [get_runs impl_1]] system_wrapper.bit] overlay/network.bit
set described [glob zynq/zynq.{gen,srcs}/sources_1/bd/system/hw_handoff/system.hwh]
file copy -force [lindex $described 0] overlay/network.hwh
puts "qap2fpga: bitstream finished"
exit
