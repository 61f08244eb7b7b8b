# SPDX-License-Identifier: Apache-2.0
# The RTL of csynth.tcl under the C++ testbench, in the simulator that comes with the tool; no waveforms, which are slow.
source [file join [file dirname [info script]] settings.tcl]

open_project hls_prj
open_solution solution1
cosim_design -rtl verilog -trace_level none
puts "qap2fpga: cosim finished"
exit
