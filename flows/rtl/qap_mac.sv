// SPDX-License-Identifier: Apache-2.0
// Sums of products, an element after the other, all OUTPUTS at once. The weights of the element that is in `x` come
// STAGES cycles later; `of_frame` says whether it is of a frame.
module qap_mac #(
  parameter OUTPUTS = 1,
  parameter X_BITS = 1,
  parameter X_SIGNED = 0,
  parameter WEIGHT_BITS = 1,
  parameter SUM_BITS = 1,
  parameter STAGES = 1,
  parameter PLACE = 1,    // bits of `place`
  parameter LAST = 0      // the last place of a sum
)(
  input  wire ap_clk,
  input  wire ap_rst_n,
  input  wire move,
  input  wire valid,
  input  wire of_frame,
  input  wire [PLACE-1:0] place,
  input  wire [X_BITS-1:0] x,
  input  wire [OUTPUTS*WEIGHT_BITS-1:0] weights,
  output wire out_valid,
  output wire out_flush,
  output wire [OUTPUTS*SUM_BITS-1:0] y
);
  // Stage STAGES has the weights, the next one the products, the last one the sums.
  reg [STAGES:0] valids = 0, firsts = 0, lasts = 0, frames = 0;
  reg done = 0, real_frame = 0;
  reg [STAGES*X_BITS-1:0] held;
  wire signed [X_BITS:0] element = {X_SIGNED != 0 && held[STAGES*X_BITS-1], held[STAGES*X_BITS-1 -: X_BITS]};
  assign out_valid = done && real_frame;
  assign out_flush = done && !real_frame;
  always @(posedge ap_clk) begin
    if (!ap_rst_n) begin
      valids <= 0;
      done <= 0;
    end else if (move) begin
      valids <= {valids, valid};
      done <= valids[STAGES] && lasts[STAGES];
    end
    if (move) begin
      firsts <= {firsts, place == 0};
      lasts <= {lasts, place == LAST};
      frames <= {frames, of_frame};
      real_frame <= frames[STAGES];
      held <= {held, x};
    end
  end
  genvar i;
  generate
    for (i = 0; i < OUTPUTS; i = i + 1) begin : sums
      wire signed [WEIGHT_BITS-1:0] weight = weights[i*WEIGHT_BITS +: WEIGHT_BITS];
      reg signed [X_BITS+WEIGHT_BITS-1:0] product;
      reg signed [SUM_BITS-1:0] sum;
      always @(posedge ap_clk)
        if (move) begin
          product <= weight * element;
          if (valids[STAGES]) sum <= (firsts[STAGES] ? 0 : sum) + product;
        end
      assign y[i*SUM_BITS +: SUM_BITS] = sum;
    end
  endgenerate
endmodule
