// SPDX-License-Identifier: Apache-2.0
// Every row of WIDTH positions DOWN times, every position of it ACROSS times. A row leaves once all of it has come;
// ROWS of them are held, and none is written before it has left: that follows from when they come.
module qap_repeat #(
  parameter WIDTH = 1,
  parameter BITS = 1,
  parameter DOWN = 1,
  parameter ACROSS = 1,
  parameter ROWS = 2
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
  localparam CB = $clog2(WIDTH + 1), RB = $clog2(ROWS + 1), AB = $clog2(ACROSS + 1), DB = $clog2(DOWN + 1);
  reg [BITS-1:0] held [0:ROWS*WIDTH-1];
  reg [ROWS-1:0] real_rows = 0;

  // Writing. Positions without a frame may end at any time: a frame then begins its row anew.
  reg [CB-1:0] column = 0;
  reg [RB-1:0] row = 0;
  reg of_frame = 0;
  wire go = valid || flush;
  wire [CB-1:0] at = valid && !of_frame ? 0 : column;
  wire full = go && at == WIDTH - 1;

  // Reading.
  reg [RB-1:0] waiting = 0, reading = 0, next = 0;
  reg busy = 0, real_frame = 0;
  reg [CB-1:0] place = 0;
  reg [AB-1:0] across = 0;
  reg [DB-1:0] down = 0;
  wire last_across = across == ACROSS - 1, last_place = place == WIDTH - 1;
  wire ends = last_across && last_place && down == DOWN - 1;
  wire load = waiting != 0 && (!busy || ends);
  assign y = held[reading * WIDTH + place];
  assign out_valid = busy && real_frame;
  assign out_flush = busy && !real_frame;

  always @(posedge ap_clk) begin
    if (move && go) held[row * WIDTH + at] <= x;
    if (!ap_rst_n) begin
      column <= 0;
      row <= 0;
      of_frame <= 0;
      waiting <= 0;
      next <= 0;
      busy <= 0;
    end else if (move) begin
      if (go) begin
        of_frame <= valid;
        column <= full ? 0 : at + 1'b1;
      end
      if (full) begin
        real_rows[row] <= valid;
        row <= row == ROWS - 1 ? 0 : row + 1'b1;
      end
      waiting <= waiting + full - load;
      if (load) begin
        busy <= 1;
        real_frame <= real_rows[next];
        reading <= next;
        next <= next == ROWS - 1 ? 0 : next + 1'b1;
        across <= 0;
        place <= 0;
        down <= 0;
      end else if (ends)
        busy <= 0;
      else begin
        across <= last_across ? 0 : across + 1'b1;
        if (last_across) place <= last_place ? 0 : place + 1'b1;
        if (last_across && last_place) down <= down + 1'b1;
      end
    end
  end
endmodule
