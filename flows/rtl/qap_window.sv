// SPDX-License-Identifier: Apache-2.0
// What a kernel sees at each of its positions over frames of HEIGHT x WIDTH positions of BITS bits.
// A position enters at a time and at most one window leaves; nothing is ever held back, since pads are fewer than the
// kernel is large. Windows of the last rows leave while the next frame enters, or positions without a frame. Taps beyond
// the borders read PAD; LAST_ROW and LAST_COLUMN are the last taps that ever lie within.
module qap_window #(
  parameter HEIGHT = 1, WIDTH = 1, BITS = 1,
  parameter ROWS = 1, COLUMNS = 1, LAST_ROW = 0, LAST_COLUMN = 0,
  parameter STRIDE_DOWN = 1, STRIDE_ACROSS = 1, STEP_DOWN = 1, STEP_ACROSS = 1,
  parameter TOP = 0, LEFT = 0, OUT_HEIGHT = 1, OUT_WIDTH = 1,
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
  output wire [ROWS*COLUMNS*BITS-1:0] y
);
  localparam POSITIONS = HEIGHT * WIDTH;
  // The number of the position that completes a frame's first window, and how many are held: the newest in `held[0]`.
  localparam START = (LAST_ROW * STEP_DOWN - TOP) * WIDTH + LAST_COLUMN * STEP_ACROSS - LEFT;
  localparam LENGTH = LAST_ROW * STEP_DOWN * WIDTH + LAST_COLUMN * STEP_ACROSS + 1;
  localparam LAST_DOWN = (OUT_HEIGHT - 1) * STRIDE_DOWN, LAST_ACROSS = (OUT_WIDTH - 1) * STRIDE_ACROSS;
  localparam PB = $clog2(POSITIONS + 1), DB = $clog2(HEIGHT + 1), AB = $clog2(WIDTH + 1);

  wire go = move && (valid || flush);
  reg [LENGTH*BITS-1:0] held;
  always @(posedge ap_clk) if (go) held <= {held, x};

  // The position that enters. Positions without a frame may end at any time: a frame then begins anew.
  reg [PB-1:0] next = 0;
  reg of_frame = 0;
  wire [PB-1:0] place = valid && !of_frame ? 0 : next;
  // The window that is held: its first tap, counted from the first one of all, and whether a frame's.
  reg busy = 0, real_frame = 0, fresh = 0;
  reg [DB-1:0] down = 0;
  reg [AB-1:0] across = 0;
  wire begins = place == START;
  wire row_ends = across == WIDTH - 1;
  always @(posedge ap_clk) begin
    if (!ap_rst_n) begin
      next <= 0;
      of_frame <= 0;
      busy <= 0;
      fresh <= 0;
    end else if (move) begin
      fresh <= go;
      if (go) begin
        next <= place == POSITIONS - 1 ? 0 : place + 1'b1;
        of_frame <= valid;
        if (begins) begin
          busy <= 1;
          real_frame <= valid;
          down <= 0;
          across <= 0;
        end else begin
          if (down == LAST_DOWN && across == LAST_ACROSS) busy <= 0;
          across <= row_ends ? 0 : across + 1'b1;
          if (row_ends) down <= down + 1'b1;
        end
      end
    end
  end

  // Of the rows and columns, every one of a stride.
  wire on_row, on_column;
  generate
    if (STRIDE_DOWN == 1) assign on_row = 1;
    else begin : rows_between
      reg [$clog2(STRIDE_DOWN)-1:0] count = 0;
      always @(posedge ap_clk)
        if (go && begins) count <= 0;
        else if (go && row_ends) count <= count == STRIDE_DOWN - 1 ? 0 : count + 1'b1;
      assign on_row = count == 0;
    end
    if (STRIDE_ACROSS == 1) assign on_column = 1;
    else begin : columns_between
      reg [$clog2(STRIDE_ACROSS)-1:0] count = 0;
      always @(posedge ap_clk)
        if (go) count <= begins || row_ends || count == STRIDE_ACROSS - 1 ? 0 : count + 1'b1;
      assign on_column = count == 0;
    end
  endgenerate
  wire window = fresh && busy && on_row && on_column && across <= LAST_ACROSS;
  assign out_valid = window && real_frame;
  assign out_flush = window && !real_frame;

  genvar i, j;
  generate
    for (i = 0; i < ROWS; i = i + 1) begin : row
      wire in_rows;
      // A comparison that cannot fail is left out.
      wire above, below;
      if (i * STEP_DOWN >= TOP) assign above = 0;
      else assign above = down < TOP - i * STEP_DOWN;
      if (i * STEP_DOWN + LAST_DOWN < HEIGHT + TOP) assign below = 0;
      else assign below = down >= HEIGHT + TOP - i * STEP_DOWN;
      assign in_rows = !above && !below;
      for (j = 0; j < COLUMNS; j = j + 1) begin : column
        localparam AT = ((LAST_ROW - i) * STEP_DOWN * WIDTH + (LAST_COLUMN - j) * STEP_ACROSS) * BITS;
        if (i > LAST_ROW || j > LAST_COLUMN) assign y[(i*COLUMNS+j)*BITS +: BITS] = PAD;
        else begin : tap
          wire left, right;
          if (j * STEP_ACROSS >= LEFT) assign left = 0;
          else assign left = across < LEFT - j * STEP_ACROSS;
          if (j * STEP_ACROSS + LAST_ACROSS < WIDTH + LEFT) assign right = 0;
          else assign right = across >= WIDTH + LEFT - j * STEP_ACROSS;
          assign y[(i*COLUMNS+j)*BITS +: BITS] = in_rows && !left && !right ? held[AT +: BITS] : PAD;
        end
      end
    end
  endgenerate
endmodule
