# SPDX-License-Identifier: Apache-2.0
# Stands in for AMD's tools: runs a Tcl script with stubs of the vendors' commands, which check their options, that
# files exist and that things come in order, write down every call, and leave reports of our own writing.
#
# The environment says the rest: FAKE_CALLS is the file for the calls, FAKE_MODE how a step goes wrong
# ("csynth:crash"), FAKE_VERSION the version, FAKE_REPORTS a folder whose reports are left instead of our own,
# FAKE_COMPILE the flags with which C simulation really compiles the testbench.

set fake_tools [file dirname [file normalize [info script]]]

proc setting {name {default ""}} {
    return [expr {[info exists ::env($name)] ? $::env($name) : $default}]
}

# Whether the step that runs is to go wrong in this way.
proc mode {name} {
    return [expr {[setting FAKE_MODE] eq "$::step:$name"}]
}

proc say {line} {
    puts $line
    flush stdout
}

# An error as the tools print it; the script ends there.
proc stop {line} {
    say "ERROR: $line"
    return -code error "ERROR: $line"
}

proc record {args} {
    if {[setting FAKE_CALLS] eq ""} return
    set file [open [setting FAKE_CALLS] a]
    puts $file [join [list $::step {*}$args] |]
    close $file
}

# Defines a vendor's command. `options` are names and whether each takes a value; `count` is how many words follow
# them. The body finds the options in `given`, by name, and the words in `words`.
proc command {name options count body} {
    proc $name args [string map [list @NAME@ $name @OPTIONS@ [list $options] @COUNT@ $count @BODY@ $body] {
        record @NAME@ {*}$args
        set options @OPTIONS@
        set given [dict create]
        set words {}
        while {[llength $args]} {
            set args [lassign $args word]
            if {![string match -* $word]} {
                lappend words $word
            } elseif {![dict exists $options $word]} {
                stop "\[Common 17-170\] Unknown option '$word' of @NAME@"
            } elseif {[dict get $options $word]} {
                if {![llength $args]} {stop "\[Common 17-157\] '$word' of @NAME@ needs a value"}
                set args [lassign $args value]
                dict set given $word $value
            } else {
                dict set given $word 1
            }
        }
        if {[llength $words] != @COUNT@} {
            stop "\[Common 17-165\] @NAME@ takes @COUNT@ words, not [llength $words]"
        }
        @BODY@
    }]
}

proc need {condition why} {
    if {![uplevel 1 [list expr $condition]]} {stop $why}
}

# What goes wrong in the command that a step is about, before it has done anything.
proc misbehave {part} {
    if {[mode hang]} {
        say "INFO: Phase 2 Global Placement"
        exec sleep 600
    } elseif {[mode crash]} {
        say "INFO: \[HLS 200-10\] Starting hardware synthesis ..."
        file mkdir reports
        exec kill -SEGV [pid]
        after 60000
    } elseif {[mode killed]} {
        say "INFO: Phase 4 Technology Mapping"
        exec kill -KILL [pid]
        after 60000
    } elseif {[mode abnormal]} {
        say "Abnormal program termination (11)"
        say "Please check '/tmp/hs_err_pid4711.log' for details"
        exit 1
    } elseif {[mode fail]} {
        say "INFO: \[HLS 200-10\] Analyzing design file"
        say "ERROR: \[HLS 214-157\] Top function not found: there is no function named 'qap'"
        say "ERROR: \[HLS 200-1715\] Encountered problem during source synthesis"
        error "command returned error code"
    } elseif {[mode fail0]} {
        say "ERROR: \[HLS 214-157\] Top function not found: there is no function named 'qap'"
        exit 0
    } elseif {[mode stop]} {
        say "INFO: \[HLS 200-111\] Finished Compiling Optimization and Transform"
        exit 0
    } elseif {[mode licence]} {
        say "INFO: \[Common 17-349\] Got license for feature 'Simulation'"
        say "WARNING: \[Common 17-348\] Failed to get the license for feature 'Synthesis' and/or device '$part'"
        stop "\[Common 17-345\] A valid license was not found for feature 'Synthesis' and/or device '$part'."
    } elseif {[mode disk]} {
        say "INFO: writing the database"
        stop "\[Common 17-49\] Internal Data Exception: write failed: No space left on device"
    }
}

# Leaves a report: FAKE_REPORTS' own file of that name, else ours with its gaps filled.
proc leave {place name gaps} {
    if {[mode noreport]} return
    file mkdir [file dirname $place]
    set own [file join [setting FAKE_REPORTS /nowhere] [file tail $place]]
    set file [open [expr {[file exists $own] ? $own : [file join $::fake_tools reports $name]}]]
    set text [read $file]
    close $file
    foreach {mode gap value} {wrongtop @TOP@ another wrongpart @PART@ xc7k160tfbg484-3 wrongclock @CLOCK@ 77.000} {
        if {[mode $mode]} {dict set gaps $gap $value}
    }
    dict set gaps @VERSION@ [setting FAKE_VERSION 2023.2]
    set text [string map $gaps $text]
    if {[mode half]} {set text [string range $text 0 [expr {[string length $text] / 2}]]}
    set file [open $place w]
    puts -nonewline $file $text
    close $file
}

proc leave_file {place text} {
    file mkdir [file dirname $place]
    set file [open $place w]
    puts $file $text
    close $file
}

# Runs the script that the command line of a program names.
proc start {banner expected} {
    if {$::argv in {-version --version}} {
        if {[setting FAKE_VERSION] eq "hang"} {exec sleep 600}
        puts "$banner v[setting FAKE_VERSION 2023.2] (64-bit)"
        exit 0
    }
    set script [lindex $::argv end]
    if {[lrange $::argv 0 end-1] ne $expected} {
        puts "ERROR: unknown arguments: $::argv"
        exit 2
    }
    set ::step [file rootname [file tail $script]]
    if {[mode silent]} {exit 1}
    if {[mode nothing]} {exit 0}
    say "****** $banner v[setting FAKE_VERSION 2023.2] (64-bit)"
    if {[catch {uplevel #0 [list source $script]} message]} {
        say $message
        say "    while executing \"source $script\""
        exit 1
    }
    say "INFO: \[Common 17-206\] Exiting"
}
