// SPDX-License-Identifier: Apache-2.0
// LUT cells of an ECP5 as one indexed bit each, as flows/open/luts.v has them of the other families; a test holds these
// against Yosys' own.
module LUT4 #(parameter [15:0] INIT = 0) (input A, B, C, D, output Z);
    assign Z = INIT[{D, C, B, A}];
endmodule
module LUT2 #(parameter [3:0] INIT = 0) (input A, B, output Z);
    assign Z = INIT[{B, A}];
endmodule
