// SPDX-License-Identifier: Apache-2.0
// Frames of HEIGHT x WIDTH positions with PAD around them, as frames of OUT_HEIGHT x OUT_WIDTH, a position per cycle.
// One begins to leave once BEGIN of its positions have come: the others then come in time, and at most DEPTH wait. Both
// follow from when they come.
module qap_pad #(
  parameter HEIGHT = 1, WIDTH = 1, BITS = 1,
  parameter TOP = 0, LEFT = 0, OUT_HEIGHT = 1, OUT_WIDTH = 1,
  parameter BEGIN = 1, DEPTH = 1,
  parameter [BITS-1:0] PAD = 0
)(
  input  wire ap_clk,
  input  wire ap_rst_n,
  input  wire move,
  input  wire valid,
  input  wire flush,
  input  wire [BITS-1:0] x,
  output wire out_valid,
  output wire out_flush,
  output wire [BITS-1:0] y
);
  localparam PB = $clog2(DEPTH + 1), RB = $clog2(OUT_HEIGHT + 1), CB = $clog2(OUT_WIDTH + 1);
  reg [BITS-1:0] held [0:DEPTH-1];
  reg [PB-1:0] write = 0, read = 0, waiting = 0;
  reg [RB-1:0] row = 0;
  reg [CB-1:0] column = 0;
  reg of_frame = 0, real_frame = 0;

  wire come = valid || flush;
  // Positions without a frame may end at any time: what is left of them is forgotten when a frame comes.
  wire anew = valid && !of_frame;
  wire begins = row == 0 && column == 0;
  wire above, aside;
  // A comparison that cannot fail is left out.
  generate
    if (TOP == 0) assign above = 0;
    else assign above = row < TOP;
    if (LEFT == 0) assign aside = 0;
    else assign aside = column < LEFT;
  endgenerate
  wire real_place = !above && !aside && row < TOP + HEIGHT && column < LEFT + WIDTH;
  wire go = begins ? waiting >= BEGIN : !real_place || waiting != 0;
  wire pop = go && real_place;
  wire of_real = begins ? of_frame : real_frame;
  wire row_ends = column == OUT_WIDTH - 1;
  assign out_valid = go && of_real;
  assign out_flush = go && !of_real;
  assign y = real_place ? held[read] : PAD;

  always @(posedge ap_clk) begin
    if (move && come) held[write] <= x;
    if (!ap_rst_n) begin
      write <= 0;
      read <= 0;
      waiting <= 0;
      row <= 0;
      column <= 0;
      of_frame <= 0;
    end else if (move) begin
      if (come) begin
        write <= write == DEPTH - 1 ? 0 : write + 1'b1;
        of_frame <= valid;
      end
      if (anew) begin
        read <= write;
        waiting <= 1;
        row <= 0;
        column <= 0;
      end else begin
        if (pop) read <= read == DEPTH - 1 ? 0 : read + 1'b1;
        waiting <= waiting + come - pop;
        if (go) begin
          real_frame <= of_real;
          column <= row_ends ? 0 : column + 1'b1;
          if (row_ends) row <= row == OUT_HEIGHT - 1 ? 0 : row + 1'b1;
        end
      end
    end
  end
endmodule
