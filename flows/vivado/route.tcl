# SPDX-License-Identifier: Apache-2.0
# Place and route of what synth.tcl left, still without pins: the first numbers with real wires.
source [file join [file dirname [info script]] settings.tcl]

open_checkpoint synthesized.dcp
opt_design
place_design
phys_opt_design
route_design
write_checkpoint -force routed.dcp
report_utilization -file reports/route_utilization.rpt
report_utilization -hierarchical -file reports/route_hierarchy.rpt
report_timing_summary -file reports/route_timing.rpt
puts "qap2fpga: route finished"
exit
