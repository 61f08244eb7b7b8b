# SPDX-License-Identifier: Apache-2.0
# C++ to RTL: always from an empty project, so that a synthesis that was killed leaves nothing behind.
set here [file dirname [info script]]
source [file join $here settings.tcl]
source [file join $here project.tcl]

qap_create hls_prj
csynth_design
puts "qap2fpga: csynth finished"
exit
