// SPDX-License-Identifier: Apache-2.0
// Upsampling by the nearest neighbour: every row ROW_TIMES times, and every position of it COLUMN_TIMES times.
//
// A memory of two rows: one is read again and again while the next one comes in. Gives a beat every cycle once its
// values are there.

module qap_repeat #(
	parameter WIDTH = 8,
	parameter COLUMNS = 4,      // positions of a row
	parameter FOLD = 1,         // beats of a position
	parameter ROW_TIMES = 2,
	parameter COLUMN_TIMES = 2,
	parameter BLOCK = 0         // 1: block RAM, 0: LUT RAM
)(
	input  wire  ap_clk,
	input  wire  ap_rst_n,
	input  wire [WIDTH-1:0]  in0_V_TDATA,
	input  wire  in0_V_TVALID,
	output wire  in0_V_TREADY,
	output reg  [WIDTH-1:0]  out0_V_TDATA,
	output wire  out0_V_TVALID,
	input  wire  out0_V_TREADY
);
	localparam ROW = COLUMNS*FOLD;
	localparam SIZE = 2*ROW;
	localparam ABITS = $clog2(SIZE);
	localparam FBITS = FOLD > 1? $clog2(FOLD) : 1;
	localparam CBITS = COLUMN_TIMES > 1? $clog2(COLUMN_TIMES) : 1;
	localparam RBITS = ROW_TIMES > 1? $clog2(ROW_TIMES) : 1;

	reg [ABITS-1:0]  write_at = 0;
	reg [ABITS:0]  held = 0;         // beats written since the row that is read began
	reg  half = 1'b0;                // which row that is
	reg [ABITS-1:0]  column_at = 0;  // the first beat of the position, in its row
	reg [FBITS-1:0]  fold = 0;
	reg [CBITS-1:0]  column_time = 0;
	reg [RBITS-1:0]  row_time = 0;
	reg  valid = 1'b0;

	wire  write = in0_V_TVALID && in0_V_TREADY;
	wire [ABITS-1:0]  place = column_at + fold;
	wire  there = place < held;
	wire  read = (!valid || out0_V_TREADY) && there;
	wire  last_fold = fold == FOLD-1;
	wire  last_column_time = last_fold && column_time == COLUMN_TIMES-1;
	wire  last_column = last_column_time && column_at == ROW-FOLD;
	wire  last_row_time = last_column && row_time == ROW_TIMES-1;
	assign  in0_V_TREADY = held < SIZE;
	assign  out0_V_TVALID = valid;

	wire [ABITS-1:0]  read_at = half? place + ROW : place;
	if(BLOCK) begin : gen_block
		(* ram_style = "block" *)
		reg [WIDTH-1:0]  rows[0:SIZE-1];
		always @(posedge ap_clk) begin
			if(write)  rows[write_at] <= in0_V_TDATA;
			if(read)  out0_V_TDATA <= rows[read_at];
		end
	end
	else begin : gen_distributed
		(* ram_style = "distributed" *)
		reg [WIDTH-1:0]  rows[0:SIZE-1];
		always @(posedge ap_clk) begin
			if(write)  rows[write_at] <= in0_V_TDATA;
			if(read)  out0_V_TDATA <= rows[read_at];
		end
	end
	always @(posedge ap_clk) begin
		if(!ap_rst_n) begin
			write_at <= 0;
			held <= 0;
			half <= 1'b0;
			column_at <= 0;
			fold <= 0;
			column_time <= 0;
			row_time <= 0;
			valid <= 1'b0;
		end
		else begin
			if(write)  write_at <= write_at == SIZE-1? {ABITS{1'b0}} : write_at + 1'b1;
			held <= held + write - (read && last_row_time? ROW : 0);
			if(!valid || out0_V_TREADY)  valid <= there;
			if(read) begin
				fold <= last_fold? {FBITS{1'b0}} : fold + 1'b1;
				if(last_fold)  column_time <= last_column_time? {CBITS{1'b0}} : column_time + 1'b1;
				if(last_column_time)  column_at <= last_column? {ABITS{1'b0}} : column_at + FOLD;
				if(last_column)  row_time <= last_row_time? {RBITS{1'b0}} : row_time + 1'b1;
				if(last_row_time)  half <= !half;
			end
		end
	end
endmodule
