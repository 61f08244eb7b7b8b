// SPDX-License-Identifier: Apache-2.0
// The bits of MASK turned in every lane: wires. A module that pads with zeros pads with MASK between two of these.

module qap_flip #(
	parameter PE = 1,
	parameter BITS = 2,
	parameter [BITS-1:0]  MASK = 0,
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
	assign  in0_V_TREADY = out0_V_TREADY;
	assign  out0_V_TVALID = in0_V_TVALID;
	assign  out0_V_TDATA[PE*BITS-1:0] = in0_V_TDATA[PE*BITS-1:0] ^ {PE{MASK}};
	if(WIDTH > PE*BITS)  assign  out0_V_TDATA[WIDTH-1:PE*BITS] = 0;
endmodule
