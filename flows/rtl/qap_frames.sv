// SPDX-License-Identifier: Apache-2.0
// Between the streams and everything inside, which moves with one enable: `move`.
// A frame that has begun waits for its next position; between frames all goes on, so that results leave. The windows of
// a frame's last rows need positions after it: those of the next frame, if it follows at once, else FLUSH positions
// without a frame, which the next frame waits for.
module qap_frames #(
  parameter POSITIONS = 1,  // of a frame
  parameter FLUSH = 0
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
  reg [BITS-1:0] place = 0;
  reg [LEFT-1:0] left = 0;  // positions that the frame before still needs
  reg taken = 0;            // the result in the last registers has left
  wire between = place == 0;
  wire flushing = between && left != 0 && left != FLUSH;
  wire free = !out_valid || out_ready;
  assign out_valid = result && !taken;
  assign in_ready = free && !flushing;
  assign valid = in_valid && !flushing;
  assign flush = between && left != 0 && !valid;
  assign move = free && (valid || between);
  always @(posedge ap_clk) begin
    if (!ap_rst_n) begin
      place <= 0;
      left <= 0;
      taken <= 0;
    end else begin
      taken <= !move && (taken || (result && out_ready));
      if (move && valid) begin
        place <= place == POSITIONS - 1 ? 0 : place + 1'b1;
        left <= FLUSH;
      end else if (move && flush)
        left <= left - 1'b1;
    end
  end
endmodule
