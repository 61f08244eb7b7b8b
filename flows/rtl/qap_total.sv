// SPDX-License-Identifier: Apache-2.0
// The sum of each of LANES channels over all POSITIONS of a frame, modulo 2**BITS.
module qap_total #(
  parameter LANES = 1,
  parameter BITS = 1,
  parameter POSITIONS = 1
)(
  input  wire ap_clk,
  input  wire ap_rst_n,
  input  wire move,
  input  wire valid,
  input  wire [LANES*BITS-1:0] x,
  output wire out_valid,
  output wire [LANES*BITS-1:0] y
);
  reg [$clog2(POSITIONS+1)-1:0] place = 0;
  reg done = 0;
  assign out_valid = done;
  wire last = place == POSITIONS - 1;
  always @(posedge ap_clk) begin
    if (!ap_rst_n) begin
      place <= 0;
      done <= 0;
    end else if (move) begin
      done <= valid && last;
      if (valid) place <= last ? 0 : place + 1'b1;
    end
  end
  genvar i;
  generate
    for (i = 0; i < LANES; i = i + 1) begin : lane
      reg [BITS-1:0] sum;
      always @(posedge ap_clk)
        if (move && valid) sum <= (place == 0 ? {BITS{1'b0}} : sum) + x[i*BITS +: BITS];
      assign y[i*BITS +: BITS] = sum;
    end
  endgenerate
endmodule
