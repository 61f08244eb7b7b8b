// SPDX-License-Identifier: Apache-2.0
// BITS bits, CYCLES later.
module qap_delay #(
  parameter BITS = 1,
  parameter CYCLES = 1
)(
  input  wire ap_clk,
  input  wire move,
  input  wire [BITS-1:0] x,
  output wire [BITS-1:0] y
);
  reg [CYCLES*BITS-1:0] held;
  always @(posedge ap_clk) if (move) held <= {held, x};
  assign y = held[CYCLES*BITS-1 -: BITS];
endmodule
