# SPDX-License-Identifier: Apache-2.0
# C simulation with the HLS tool's own compiler and types. A project of its own, so that it disturbs no synthesis.
set here [file dirname [info script]]
source [file join $here settings.tcl]
source [file join $here project.tcl]

qap_create csim_prj
csim_design
puts "qap2fpga: csim finished"
exit
