# SPDX-License-Identifier: Apache-2.0
# The RTL of csynth.tcl as a block for Vivado's IP catalogue, a zip file in hls_prj/solution1/impl.
source [file join [file dirname [info script]] settings.tcl]

open_project hls_prj
open_solution solution1
export_design -format ip_catalog -version $ip_version
puts "qap2fpga: export finished"
exit
