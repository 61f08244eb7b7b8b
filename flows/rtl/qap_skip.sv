// SPDX-License-Identifier: Apache-2.0
// A branch that waits for another one: positions enter with `push` and leave, in order, with `pop`.
// It is never popped when empty, and never holds more than DEPTH: both follow from the branches' timing.
module qap_skip #(
  parameter BITS = 1,
  parameter DEPTH = 2
)(
  input  wire ap_clk,
  input  wire ap_rst_n,
  input  wire move,
  input  wire push,
  input  wire pop,
  input  wire [BITS-1:0] x,
  output wire [BITS-1:0] y
);
  localparam PLACE = $clog2(DEPTH + 1);
  reg [BITS-1:0] held [0:DEPTH-1];
  reg [PLACE-1:0] write = 0, read = 0;
  assign y = held[read];
  always @(posedge ap_clk) begin
    if (move && push) held[write] <= x;
    if (!ap_rst_n) begin
      write <= 0;
      read <= 0;
    end else if (move) begin
      if (push) write <= write == DEPTH - 1 ? 0 : write + 1'b1;
      if (pop) read <= read == DEPTH - 1 ? 0 : read + 1'b1;
    end
  end
endmodule
