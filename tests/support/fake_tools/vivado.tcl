# SPDX-License-Identifier: Apache-2.0
# Stubs of Vivado's commands (AMD UG835), without a project on disk.

set files_read {}
set memories {}
set severity ""
set state ""
array set linked {top "" part "" clock ""}

proc find_part {part} {
    if {[mode part]} {
        say "WARNING: \[Device 21-436\] No parts matched '$part'"
        stop "\[Coretcl 2-106\] Specified part could not be found."
    }
}

proc content {name} {
    set file [open $name]
    set text [read $file]
    close $file
    return $text
}


# In memory it has no name; on disk a name and a folder.
proc create_project {args} {
    record create_project {*}$args
    if {[llength $args] == 3 && [lindex $args 0] eq "-in_memory"} {
        lassign $args memory option part
    } else {
        need {[llength $args] == 5 && [lindex $args 0] eq "-force"} "\[Common 17-165\] create_project: $args"
        lassign $args force option part name folder
        file delete -force $folder
        file mkdir $folder
        set ::project [dict create name $name part $part properties {}]
    }
    need {$option eq "-part"} "\[Common 17-170\] Unknown option '$option' of create_project"
    find_part $part
    set ::linked(part) $part
    set ::state created
}

command set_msg_config {-id 1 -new_severity 1} 0 {
    set ::severity [dict get $given -new_severity]
}

foreach reader {read_verilog read_vhdl} {
    command $reader {-sv 0} 1 {
        need {[file exists $words]} "\[Common 17-55\] file '$words' does not exist"
        need {$::state eq "created"} "\[Common 17-53\] no project is open"
        lappend ::files_read $words
    }
}

command add_files {-norecurse 0} 1 {
    need {[file exists $words]} "\[Common 17-55\] file '$words' does not exist"
    lappend [expr {[file extension $words] in {.v .sv .vhd} ? "::files_read" : "::memories"}] $words
}

command create_clock {-name 1 -period 1} 1 {
    set ::linked(clock) [dict get $given -period]
    set ::clock_port $words
}

proc get_ports {name} {
    return $name
}

command read_xdc {-mode 1} 1 {
    need {[file exists $words]} "\[Common 17-55\] file '$words' does not exist"
    uplevel #0 [content $words]
}

command synth_design {-top 1 -part 1 -mode 1} 0 {
    need {[llength $::files_read]} "\[Common 17-53\] there are no sources"
    need {$::linked(clock) ne ""} "\[Common 17-53\] there is no clock"
    misbehave $::linked(part)
    set text ""
    foreach name $::files_read {append text [content $name]}
    set top [dict get $given -top]
    need {[regexp "module\\s+$top\\M" $text]} "\[Synth 8-439\] module '$top' not found"
    need {[regexp "\\m$::clock_port\\M" $text]} "\[Vivado 12-4739\] No valid object(s) found for '$::clock_port'"
    foreach {all name} [regexp -all -inline {"([^"%]+\.(?:dat|mem))"} $text] {
        set found [expr {[file tail $name] in $::memories && [file exists $name] && ![mode memory]}]
        if {!$found} {
            if {$::severity eq "ERROR"} {stop "\[Synth 8-4445\] could not open \$readmem data file '$name'"}
            say "CRITICAL WARNING: \[Synth 8-4445\] could not open \$readmem data file '$name'; ignoring"
        }
    }
    set ::linked(top) $top
    set ::state Synthesized
}

command write_checkpoint {-force 0} 1 {
    need {$::state in {Synthesized Routed}} "\[Common 17-53\] there is no design"
    leave_file $words [array get ::linked]
}

command open_checkpoint {} 1 {
    need {[file exists $words]} "\[Common 17-55\] file '$words' does not exist"
    array set ::linked [string trim [content $words]]
    find_part $::linked(part)
    set ::state Synthesized
}

foreach {verb before after} {
    opt_design Synthesized Optimized place_design Optimized Placed phys_opt_design Placed Placed
    route_design Placed Routed
} {
    command $verb {} 0 [string map [list @BEFORE@ $before @AFTER@ $after] {
        need {$::state eq "@BEFORE@"} "\[Common 17-53\] the design is '$::state', not '@BEFORE@'"
        if {"@AFTER@" eq "Routed"} {misbehave $::linked(part)}
        set ::state @AFTER@
    }]
}

proc leave_vivado {place name} {
    need {$::state in {Synthesized Routed}} "\[Common 17-53\] there is no design to report on"
    set nets [expr {$::state eq "Routed" ? "routed" : "unplaced"}]
    leave $place $name [list @TOP@ $::linked(top) @PART@ $::linked(part) \
        @CLOCK@ [format %.3f $::linked(clock)] @STATE@ $::state @NETS@ $nets]
}

command report_utilization {-hierarchical 0 -file 1} 0 {
    leave_vivado [dict get $given -file] [expr {[dict exists $given -hierarchical] ? "hierarchy.rpt" : "utilization.rpt"}]
}

command report_timing_summary {-file 1} 0 {
    leave_vivado [dict get $given -file] timing.rpt
}
