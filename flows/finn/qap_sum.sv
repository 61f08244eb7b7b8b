// SPDX-License-Identifier: Apache-2.0
// Sums of SOURCES streams, each times its constant factor, lane by lane; a beat of each goes into a beat that comes out.
//
// Products are sums of shifted values, so they never become DSPs. One register stage; takes and gives a beat per cycle.

module qap_sum #(
	parameter SOURCES = 2,
	parameter FACTOR_BITS = 2,  // signed
	parameter [SOURCES*FACTOR_BITS-1:0]  FACTORS = 5,  // source 0 in the lowest bits
	parameter PE = 1,
	parameter IN_BITS = 2,
	parameter IN_SIGNED = 0,
	parameter OUT_BITS = 4,  // holds all sums
	parameter IN_WIDTH = (PE*IN_BITS + 7)/8*8,
	parameter OUT_WIDTH = (PE*OUT_BITS + 7)/8*8
)(
	input  wire  ap_clk,
	input  wire  ap_rst_n,
	input  wire [SOURCES*IN_WIDTH-1:0]  in0_V_TDATA,  // source 0 in the lowest bits
	input  wire [SOURCES-1:0]  in0_V_TVALID,
	output wire [SOURCES-1:0]  in0_V_TREADY,
	output wire [OUT_WIDTH-1:0]  out0_V_TDATA,
	output wire  out0_V_TVALID,
	input  wire  out0_V_TREADY
);
	reg  valid = 1'b0;
	wire  move = !valid || out0_V_TREADY;
	wire  take = move && &in0_V_TVALID;
	assign  in0_V_TREADY = {SOURCES{take}};
	assign  out0_V_TVALID = valid;

	always @(posedge ap_clk) begin
		if(!ap_rst_n)  valid <= 1'b0;
		else if(move)  valid <= take;
	end

	genvar  pe, at, bit_;
	for(pe = 0; pe < PE; pe = pe + 1) begin : gen_lane
		// Modulo 2**OUT_BITS, which is all that a sum in range needs.
		wire [OUT_BITS-1:0]  part[0:SOURCES*FACTOR_BITS];
		assign  part[0] = 0;
		for(at = 0; at < SOURCES; at = at + 1) begin : gen_source
			wire [IN_BITS-1:0]  lane = in0_V_TDATA[at*IN_WIDTH + pe*IN_BITS +: IN_BITS];
			wire signed [IN_BITS:0]  value = { IN_SIGNED? lane[IN_BITS-1] : 1'b0, lane };
			wire signed [OUT_BITS+IN_BITS:0]  wide = value;
			for(bit_ = 0; bit_ < FACTOR_BITS; bit_ = bit_ + 1) begin : gen_bit
				localparam AT = at*FACTOR_BITS + bit_;
				if(!FACTORS[AT])  assign  part[AT+1] = part[AT];
				else begin : gen_add
					wire signed [OUT_BITS+IN_BITS:0]  shifted = wide <<< bit_;
					// The top bit of a two's complement factor counts negative.
					if(bit_ == FACTOR_BITS-1)  assign  part[AT+1] = part[AT] - shifted[OUT_BITS-1:0];
					else  assign  part[AT+1] = part[AT] + shifted[OUT_BITS-1:0];
				end
			end
		end
		reg [OUT_BITS-1:0]  sum;
		always @(posedge ap_clk) begin
			if(take)  sum <= part[SOURCES*FACTOR_BITS];
		end
		assign  out0_V_TDATA[pe*OUT_BITS +: OUT_BITS] = sum;
	end
	if(OUT_WIDTH > PE*OUT_BITS)  assign  out0_V_TDATA[OUT_WIDTH-1:PE*OUT_BITS] = 0;
endmodule
