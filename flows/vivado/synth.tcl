# SPDX-License-Identifier: Apache-2.0
# Out-of-context synthesis: the design alone, without pins, at the board's clock. settings.tcl beside it says what.
source [file join [file dirname [info script]] settings.tcl]

create_project -in_memory -part $part
file mkdir reports

# A memory whose content is not found would silently be all zeros: another network.
set_msg_config -id {Synth 8-4445} -new_severity ERROR

foreach pattern $sources {
    foreach file [lsort [glob $pattern]] {
        if {[file extension $file] eq ".sv"} {
            read_verilog -sv $file
        } elseif {[file extension $file] in {.vhd .vhdl}} {
            read_vhdl $file
        } else {
            read_verilog $file
        }
    }
}
# The sources name memory contents relative to the working folder, where those of an HLS tool are not yet.
foreach pattern $memories {
    foreach file [lsort [glob -nocomplain $pattern]] {
        if {[file dirname $file] ne "."} {
            file copy -force $file [file tail $file]
        }
        add_files -norecurse [file tail $file]
    }
}

set constraints [open clock.xdc w]
puts $constraints "create_clock -name $clock -period $clock_ns \[get_ports $clock\]"
close $constraints
read_xdc -mode out_of_context clock.xdc

synth_design -top $top -part $part -mode out_of_context
write_checkpoint -force synthesized.dcp
report_utilization -file reports/synth_utilization.rpt
report_utilization -hierarchical -file reports/synth_hierarchy.rpt
report_timing_summary -file reports/synth_timing.rpt
puts "qap2fpga: synth finished"
exit
