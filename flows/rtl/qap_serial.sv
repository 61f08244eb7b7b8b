// SPDX-License-Identifier: Apache-2.0
// The integers of every position one after the other: LANES elements of BITS bits. `place` counts them over POSITIONS,
// those of a frame or one alone; then positions without a frame count too. At most DEPTH positions wait; that this is
// enough follows from when they come.
module qap_serial #(
  parameter LANES = 1,
  parameter BITS = 1,
  parameter POSITIONS = 1,
  parameter DEPTH = 1,
  parameter WHOLE = 1,    // a frame is counted over
  parameter PLACE = 1     // bits of `place`
)(
  input  wire ap_clk,
  input  wire ap_rst_n,
  input  wire move,
  input  wire valid,
  input  wire flush,
  input  wire [LANES*BITS-1:0] x,
  output wire out_valid,
  output reg  of_frame,
  output reg  [PLACE-1:0] place,
  output wire [BITS-1:0] y
);
  localparam WAITING = $clog2(DEPTH + 1), LEFT = $clog2(LANES + 1);
  reg [WAITING-1:0] waiting = 0;
  reg [LEFT-1:0] left = 0;
  reg [LANES*BITS-1:0] held;
  wire [LANES*BITS-1:0] first;
  wire first_of_frame;
  wire come = valid || (flush && !WHOLE);
  wire load = waiting != 0 && left <= 1;
  qap_skip #(.BITS(LANES*BITS+1), .DEPTH(DEPTH)) queue (
    .ap_clk(ap_clk), .ap_rst_n(ap_rst_n), .move(move), .push(come), .pop(load), .x({valid, x}),
    .y({first_of_frame, first})
  );
  assign out_valid = left != 0;
  assign y = held[BITS-1:0];
  initial place = 0;
  always @(posedge ap_clk) begin
    if (!ap_rst_n) begin
      waiting <= 0;
      left <= 0;
      place <= 0;
    end else if (move) begin
      waiting <= waiting + come - load;
      left <= load ? LANES : left - out_valid;
      if (out_valid) place <= place == LANES * POSITIONS - 1 ? 0 : place + 1'b1;
    end
    if (move) begin
      held <= load ? first : held >> BITS;
      if (load) of_frame <= first_of_frame;
    end
  end
endmodule
