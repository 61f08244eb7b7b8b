// SPDX-License-Identifier: Apache-2.0
// The bits that say what a datapath of so many stages holds: a position of a frame, or one without a frame.
module qap_valid #(
  parameter STAGES = 1
)(
  input  wire ap_clk,
  input  wire ap_rst_n,
  input  wire move,
  input  wire valid,
  input  wire flush,
  output wire out_valid,
  output wire out_flush
);
  reg [STAGES-1:0] valids = 0, flushes = 0;
  always @(posedge ap_clk) begin
    if (!ap_rst_n) begin
      valids <= 0;
      flushes <= 0;
    end else if (move) begin
      valids <= {valids, valid};
      flushes <= {flushes, flush};
    end
  end
  assign out_valid = valids[STAGES-1];
  assign out_flush = flushes[STAGES-1];
endmodule
