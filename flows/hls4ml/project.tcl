# SPDX-License-Identifier: Apache-2.0
# A new HLS project; settings.tcl beside this file says of what. Files are named relative to the working folder, and the
# options are the same, as in hls4ml's own build_prj.tcl.

# Creates the project $name with its one solution, empty even if there is one of that name.
proc qap_create {name} {
    global top hls_sources testbench testbench_data flags bench_flags part clock_ns clock_uncertainty
    open_project -reset $name
    set_top $top
    foreach file $hls_sources {
        add_files $file -cflags $flags
    }
    add_files -tb $testbench -cflags $bench_flags
    add_files -tb $testbench_data
    open_solution -reset solution1
    set_part $part
    create_clock -period $clock_ns -name default
    set_clock_uncertainty $clock_uncertainty default
    config_compile -name_max_length 80
    config_schedule -enable_dsp_full_reg=false
}
