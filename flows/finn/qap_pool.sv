// SPDX-License-Identifier: Apache-2.0
// The largest of TAPS beats after each other, per lane: the windows of some channels, a tap per beat, come in.
//
// One result comes out per TAPS beats. Takes a beat every cycle unless a result waits to be taken.

module qap_pool #(
	parameter PE = 1,
	parameter TAPS = 4,
	parameter BITS = 2,
	parameter SIGNED = 0,
	parameter WIDTH = (PE*BITS + 7)/8*8
)(
	input  wire  ap_clk,
	input  wire  ap_rst_n,
	input  wire [WIDTH-1:0]  in0_V_TDATA,
	input  wire  in0_V_TVALID,
	output wire  in0_V_TREADY,
	output wire [WIDTH-1:0]  out0_V_TDATA,
	output wire  out0_V_TVALID,
	input  wire  out0_V_TREADY
);
	localparam CBITS = TAPS > 1? $clog2(TAPS) : 1;

	reg [CBITS-1:0]  tap = 0;
	reg  valid = 1'b0;
	wire  first = tap == 0;
	wire  last = tap == TAPS-1;
	wire  move = !valid || out0_V_TREADY;
	wire  take = move && in0_V_TVALID;
	assign  in0_V_TREADY = move;
	assign  out0_V_TVALID = valid;

	always @(posedge ap_clk) begin
		if(!ap_rst_n) begin
			tap <= 0;
			valid <= 1'b0;
		end
		else begin
			if(take)  tap <= last? {CBITS{1'b0}} : tap + 1'b1;
			if(move)  valid <= take && last;
		end
	end

	genvar  pe;
	for(pe = 0; pe < PE; pe = pe + 1) begin : gen_lane
		wire [BITS-1:0]  lane = in0_V_TDATA[pe*BITS +: BITS];
		reg [BITS-1:0]  most;
		wire signed [BITS:0]  value = { SIGNED? lane[BITS-1] : 1'b0, lane };
		wire signed [BITS:0]  so_far = { SIGNED? most[BITS-1] : 1'b0, most };
		always @(posedge ap_clk) begin
			if(take && (first || value > so_far))  most <= lane;
		end
		assign  out0_V_TDATA[pe*BITS +: BITS] = most;
	end
	if(WIDTH > PE*BITS)  assign  out0_V_TDATA[WIDTH-1:PE*BITS] = 0;
endmodule
