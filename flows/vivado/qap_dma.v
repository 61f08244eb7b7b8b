// SPDX-License-Identifier: Apache-2.0
// Between a DMA's stream of words and a core's stream of beats, and back.
//
// In memory a beat of BEAT bits takes a slot of SLOT bits: a power of two of bytes up to a word, or whole words. Slots
// follow each other without gaps; TKEEP says which bytes of a batch's last word are there. All sizes are multiples of 8.

// Words to beats. The end of a batch is that of its last slot.
module qap_dma_in #(
  parameter WORD = 64,
  parameter BEAT = 8,
  parameter SLOT = 8
) (
  input  wire  clk,
  input  wire  rst_n,
  input  wire [WORD-1:0]  s_data,
  input  wire [WORD/8-1:0]  s_keep,
  input  wire  s_last,
  input  wire  s_valid,
  output wire  s_ready,
  output wire [BEAT-1:0]  m_data,
  output wire  m_last,
  output wire  m_valid,
  input  wire  m_ready
);
  generate
    if(SLOT > WORD) begin : gather
      localparam WORDS = SLOT / WORD;
      reg [SLOT-1:0]  slot;
      reg [$clog2(WORDS)-1:0]  count = 0;
      reg  full = 0, last;
      assign s_ready = !full || m_ready;
      assign m_data = slot[BEAT-1:0];
      assign m_last = last;
      assign m_valid = full;
      always @(posedge clk) begin
        if(s_valid && s_ready) begin
          slot <= {s_data, slot[SLOT-1:WORD]};
          last <= s_last;
        end
        if(!rst_n) begin
          full <= 0;
          count <= 0;
        end else if(s_valid && s_ready) begin
          full <= count == WORDS - 1;
          count <= count == WORDS - 1 ? 0 : count + 1;
        end else if(m_ready)
          full <= 0;
      end
    end else begin : split
      localparam SLOTS = WORD / SLOT;
      reg [WORD-1:0]  word;
      reg [$clog2(SLOTS+1)-1:0]  left = 0;
      reg  last;
      // A slot is there if its first byte is.
      reg [$clog2(SLOTS+1)-1:0]  kept;
      integer  i;
      always @* begin
        kept = 0;
        for(i = 0; i < SLOTS; i = i + 1)
          kept = kept + s_keep[i*SLOT/8];
      end
      assign s_ready = left == 0 || (left == 1 && m_ready);
      assign m_data = word[BEAT-1:0];
      assign m_last = last && left == 1;
      assign m_valid = left != 0;
      always @(posedge clk) begin
        if(s_valid && s_ready) begin
          word <= s_data;
          last <= s_last;
        end else if(m_ready)
          word <= word >> SLOT;
        if(!rst_n)  left <= 0;
        else if(s_valid && s_ready)  left <= kept;
        else if(m_ready && left != 0)  left <= left - 1;
      end
    end
  endgenerate
endmodule

// Beats to words; the padding of a slot, and what is behind the last slot of a batch, is 0.
module qap_dma_out #(
  parameter WORD = 64,
  parameter BEAT = 8,
  parameter SLOT = 8
) (
  input  wire  clk,
  input  wire  rst_n,
  input  wire [BEAT-1:0]  s_data,
  input  wire  s_last,
  input  wire  s_valid,
  output wire  s_ready,
  output wire [WORD-1:0]  m_data,
  output wire [WORD/8-1:0]  m_keep,
  output wire  m_last,
  output wire  m_valid,
  input  wire  m_ready
);
  wire [SLOT-1:0]  slot_in = s_data;
  generate
    if(SLOT > WORD) begin : scatter
      localparam WORDS = SLOT / WORD;
      reg [SLOT-1:0]  slot;
      reg [$clog2(WORDS+1)-1:0]  left = 0;
      reg  last;
      assign s_ready = left == 0 || (left == 1 && m_ready);
      assign m_data = slot[WORD-1:0];
      assign m_keep = {WORD/8{1'b1}};
      assign m_last = last && left == 1;
      assign m_valid = left != 0;
      always @(posedge clk) begin
        if(s_valid && s_ready) begin
          slot <= slot_in;
          last <= s_last;
        end else if(m_ready)
          slot <= slot >> WORD;
        if(!rst_n)  left <= 0;
        else if(s_valid && s_ready)  left <= WORDS;
        else if(m_ready && left != 0)  left <= left - 1;
      end
    end else begin : join_slots
      localparam SLOTS = WORD / SLOT;
      reg [WORD-1:0]  word;
      reg [WORD/8-1:0]  keep;
      reg [$clog2(SLOTS+1)-1:0]  count = 0;
      reg  full = 0, last;
      assign s_ready = !full || m_ready;
      assign m_data = word;
      assign m_keep = keep;
      assign m_last = last;
      assign m_valid = full;
      localparam [WORD/8-1:0]  FIRST = {SLOT/8{1'b1}};
      wire [WORD-1:0]  placed = {{WORD{1'b0}}, slot_in} << (count * SLOT);
      wire [WORD/8-1:0]  kept = FIRST << (count * (SLOT / 8));
      always @(posedge clk) begin
        if(s_valid && s_ready) begin
          word <= count == 0 ? placed : word | placed;
          keep <= count == 0 ? kept : keep | kept;
          last <= s_last;
        end
        if(!rst_n) begin
          full <= 0;
          count <= 0;
        end else if(s_valid && s_ready) begin
          full <= s_last || count == SLOTS - 1;
          count <= s_last || count == SLOTS - 1 ? 0 : count + 1;
        end else if(m_ready)
          full <= 0;
      end
    end
  endgenerate
endmodule

// Which output beat is a batch's last: that of the last frame behind the end of the input. A DMA that receives ends
// its transfer there. The next batch is held back until then.
module qap_batch #(
  parameter IN_BEATS = 1,
  parameter OUT_BEATS = 1
) (
  input  wire  clk,
  input  wire  rst_n,
  input  wire  in_taken,
  input  wire  in_last,
  input  wire  out_taken,
  output wire  hold,
  output wire  out_last
);
  reg [31:0]  in_beat = 0, out_beat = 0, frames = 0;
  reg  ended = 0;
  wire  in_frame = in_taken && in_beat == IN_BEATS - 1;
  wire  out_frame = out_taken && out_beat == OUT_BEATS - 1;
  assign hold = ended;
  assign out_last = ended && frames == 1 && out_beat == OUT_BEATS - 1;
  always @(posedge clk) begin
    if(!rst_n) begin
      in_beat <= 0;
      out_beat <= 0;
      frames <= 0;
      ended <= 0;
    end else begin
      if(in_taken)  in_beat <= in_frame ? 0 : in_beat + 1;
      if(out_taken)  out_beat <= out_frame ? 0 : out_beat + 1;
      frames <= frames + in_frame - out_frame;
      if(in_taken && in_last)  ended <= 1;
      else if(out_taken && out_last)  ended <= 0;
    end
  end
endmodule
