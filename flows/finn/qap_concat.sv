// SPDX-License-Identifier: Apache-2.0
// Channels of SOURCES streams side by side: at each position BEATS[0] beats of source 0, then those of source 1, ...
//
// All have beats of the same form, which go through as they are. No registers on the way.

module qap_concat #(
	parameter WIDTH = 8,
	parameter SOURCES = 2,
	parameter COUNT_BITS = 1,
	parameter [SOURCES*COUNT_BITS-1:0]  BEATS = 3  // source 0 in the lowest bits
)(
	input  wire  ap_clk,
	input  wire  ap_rst_n,
	input  wire [SOURCES*WIDTH-1:0]  in0_V_TDATA,  // source 0 in the lowest bits
	input  wire [SOURCES-1:0]  in0_V_TVALID,
	output wire [SOURCES-1:0]  in0_V_TREADY,
	output wire [WIDTH-1:0]  out0_V_TDATA,
	output wire  out0_V_TVALID,
	input  wire  out0_V_TREADY
);
	localparam TBITS = SOURCES > 1? $clog2(SOURCES) : 1;

	reg [TBITS-1:0]  turn = 0;
	reg [COUNT_BITS-1:0]  count = 1;  // of the beat that comes next

	// Tables, since a computed part-select of a parameter would be a multiplication.
	wire [COUNT_BITS-1:0]  beats[0:SOURCES-1];
	wire [WIDTH-1:0]  data[0:SOURCES-1];
	genvar  at;
	for(at = 0; at < SOURCES; at = at + 1) begin : gen_table
		assign  beats[at] = BEATS[at*COUNT_BITS +: COUNT_BITS];
		assign  data[at] = in0_V_TDATA[at*WIDTH +: WIDTH];
		assign  in0_V_TREADY[at] = turn == at && out0_V_TREADY;
	end
	assign  out0_V_TDATA = data[turn];
	assign  out0_V_TVALID = in0_V_TVALID[turn];

	always @(posedge ap_clk) begin
		if(!ap_rst_n) begin
			turn <= 0;
			count <= 1;
		end
		else if(out0_V_TVALID && out0_V_TREADY) begin
			if(count != beats[turn])  count <= count + 1'b1;
			else begin
				count <= 1;
				turn <= turn == SOURCES-1? {TBITS{1'b0}} : turn + 1'b1;
			end
		end
	end
endmodule
