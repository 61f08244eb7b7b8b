// SPDX-License-Identifier: Apache-2.0
// Sums of products of TAPS beats after each other, per lane, each beat with its own weights: a kernel per channel.
//
// The windows of some channels come in, a tap per beat, and a weight per lane with each. A stage multiplies, the next
// adds up; one result comes out per TAPS beats. The pipeline stands still while a result waits to be taken.

module qap_dw #(
	parameter PE = 1,
	parameter TAPS = 9,
	parameter IN_BITS = 2,
	parameter IN_SIGNED = 0,
	parameter WEIGHT_BITS = 2,  // signed
	parameter OUT_BITS = 8,     // signed; holds all sums, and a product
	parameter IN_WIDTH = (PE*IN_BITS + 7)/8*8,
	parameter WEIGHT_WIDTH = (PE*WEIGHT_BITS + 7)/8*8,
	parameter OUT_WIDTH = (PE*OUT_BITS + 7)/8*8
)(
	input  wire  ap_clk,
	input  wire  ap_rst_n,
	input  wire [IN_WIDTH-1:0]  in0_V_TDATA,
	input  wire  in0_V_TVALID,
	output wire  in0_V_TREADY,
	input  wire [WEIGHT_WIDTH-1:0]  in1_V_TDATA,
	input  wire  in1_V_TVALID,
	output wire  in1_V_TREADY,
	output wire [OUT_WIDTH-1:0]  out0_V_TDATA,
	output wire  out0_V_TVALID,
	input  wire  out0_V_TREADY
);
	localparam CBITS = TAPS > 1? $clog2(TAPS) : 1;

	reg [CBITS-1:0]  tap = 0;
	reg  multiplied = 1'b0, first = 1'b0, last = 1'b0;  // the beat whose products are there
	reg  valid = 1'b0;
	wire  move = !valid || out0_V_TREADY;
	wire  take = move && in0_V_TVALID && in1_V_TVALID;
	assign  in0_V_TREADY = move && in1_V_TVALID;
	assign  in1_V_TREADY = move && in0_V_TVALID;
	assign  out0_V_TVALID = valid;

	always @(posedge ap_clk) begin
		if(!ap_rst_n) begin
			tap <= 0;
			multiplied <= 1'b0;
			valid <= 1'b0;
		end
		else if(move) begin
			if(take)  tap <= tap == TAPS-1? {CBITS{1'b0}} : tap + 1'b1;
			multiplied <= take;
			first <= tap == 0;
			last <= tap == TAPS-1;
			valid <= multiplied && last;
		end
	end

	genvar  pe;
	for(pe = 0; pe < PE; pe = pe + 1) begin : gen_lane
		wire [IN_BITS-1:0]  lane = in0_V_TDATA[pe*IN_BITS +: IN_BITS];
		wire signed [IN_BITS:0]  value = { IN_SIGNED? lane[IN_BITS-1] : 1'b0, lane };
		wire signed [WEIGHT_BITS-1:0]  weight = in1_V_TDATA[pe*WEIGHT_BITS +: WEIGHT_BITS];
		reg signed [OUT_BITS-1:0]  product;
		reg signed [OUT_BITS-1:0]  sum;
		always @(posedge ap_clk) begin
			if(move) begin
				product <= value * weight;
				if(multiplied)  sum <= (first? {OUT_BITS{1'b0}} : sum) + product;
			end
		end
		assign  out0_V_TDATA[pe*OUT_BITS +: OUT_BITS] = sum;
	end
	if(OUT_WIDTH > PE*OUT_BITS)  assign  out0_V_TDATA[OUT_WIDTH-1:PE*OUT_BITS] = 0;
endmodule
