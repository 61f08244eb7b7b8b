// SPDX-License-Identifier: Apache-2.0
// The same values in more bits, each with OFFSET added: wires where that is 0.

module qap_extend #(
	parameter PE = 1,
	parameter IN_BITS = 1,
	parameter IN_SIGNED = 0,
	parameter OUT_BITS = 2,
	parameter signed [31:0]  OFFSET = 0,  // OUT_BITS hold all that comes out
	parameter IN_WIDTH = (PE*IN_BITS + 7)/8*8,
	parameter OUT_WIDTH = (PE*OUT_BITS + 7)/8*8
)(
	input  wire  ap_clk,
	input  wire  ap_rst_n,
	input  wire [IN_WIDTH-1:0]  in0_V_TDATA,
	input  wire  in0_V_TVALID,
	output wire  in0_V_TREADY,
	output wire [OUT_WIDTH-1:0]  out0_V_TDATA,
	output wire  out0_V_TVALID,
	input  wire  out0_V_TREADY
);
	assign  in0_V_TREADY = out0_V_TREADY;
	assign  out0_V_TVALID = in0_V_TVALID;

	genvar  pe;
	for(pe = 0; pe < PE; pe = pe + 1) begin : gen_lane
		wire [IN_BITS-1:0]  lane = in0_V_TDATA[pe*IN_BITS +: IN_BITS];
		wire signed [IN_BITS:0]  value = { IN_SIGNED? lane[IN_BITS-1] : 1'b0, lane };
		wire signed [OUT_BITS+31:0]  wide = value + OFFSET;
		assign  out0_V_TDATA[pe*OUT_BITS +: OUT_BITS] = wide[OUT_BITS-1:0];
	end
	if(OUT_WIDTH > PE*OUT_BITS)  assign  out0_V_TDATA[OUT_WIDTH-1:PE*OUT_BITS] = 0;
endmodule
