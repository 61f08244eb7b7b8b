// SPDX-License-Identifier: Apache-2.0
// Between the streams and everything inside, which moves with one enable: `move`.
// A frame that has begun waits for its next position; between frames all goes on, so that results leave. A position is
// taken every PACE cycles. The windows of a frame's last rows need positions after it: those of the next frame, if it
// follows at once, else FLUSH positions without a frame, and DRAIN cycles until these have left; the next frame waits.
module qap_frames #(
  parameter POSITIONS = 1,  // of a frame
  parameter PACE = 1,
  parameter FLUSH = 0,
  parameter DRAIN = 0
)(
  input  wire ap_clk,
  input  wire ap_rst_n,
  input  wire in_valid,
  output wire in_ready,
  input  wire result,     // a position of the result is in the last registers
  output wire out_valid,
  input  wire out_ready,
  output wire move,
  output wire valid,      // a position of a frame enters
  output wire flush       // a position without a frame enters
);
  localparam BITS = $clog2(POSITIONS + 1), LEFT = $clog2(FLUSH + 2);
  localparam REST = $clog2(PACE + 1), DRAINS = $clog2(DRAIN + 2);
  reg [BITS-1:0] place = 0;
  reg [LEFT-1:0] left = 0;     // positions that the frame before still needs
  reg [REST-1:0] rest = 0;     // cycles until the next position may enter
  reg [DRAINS-1:0] drain = 0;  // cycles until what followed the frame has left
  reg taken = 0;               // the result in the last registers has left
  wire between = place == 0;
  wire flushing = between && ((left != 0 && left != FLUSH) || drain != 0);
  wire free = !out_valid || out_ready;
  assign out_valid = result && !taken;
  assign in_ready = free && !flushing && rest == 0;
  assign valid = in_valid && !flushing && rest == 0;
  assign flush = between && left != 0 && !valid && rest == 0;
  assign move = free && (valid || between || rest != 0);
  always @(posedge ap_clk) begin
    if (!ap_rst_n) begin
      place <= 0;
      left <= 0;
      rest <= 0;
      drain <= 0;
      taken <= 0;
    end else begin
      taken <= !move && (taken || (result && out_ready));
      if (move) begin
        if (valid || flush) rest <= PACE - 1;
        else if (rest != 0) rest <= rest - 1'b1;
        if (drain != 0) drain <= drain - 1'b1;
        if (valid) begin
          place <= place == POSITIONS - 1 ? 0 : place + 1'b1;
          left <= FLUSH;
        end else if (flush) begin
          left <= left - 1'b1;
          if (left == 1) drain <= DRAIN;
        end
      end
    end
  end
endmodule
