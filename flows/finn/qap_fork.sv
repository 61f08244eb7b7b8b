// SPDX-License-Identifier: Apache-2.0
// A stream with WAYS readers: each gets every beat once. One that is slow keeps the others waiting at the next beat
// only. No registers on the way.

module qap_fork #(
	parameter WIDTH = 8,
	parameter WAYS = 2
)(
	input  wire  ap_clk,
	input  wire  ap_rst_n,
	input  wire [WIDTH-1:0]  in0_V_TDATA,
	input  wire  in0_V_TVALID,
	output wire  in0_V_TREADY,
	output wire [WAYS*WIDTH-1:0]  out0_V_TDATA,  // reader 0 in the lowest bits
	output wire [WAYS-1:0]  out0_V_TVALID,
	input  wire [WAYS-1:0]  out0_V_TREADY
);
	reg [WAYS-1:0]  done = 0;  // who has the beat that is still there
	wire [WAYS-1:0]  served = done | out0_V_TREADY;

	assign  out0_V_TDATA = {WAYS{in0_V_TDATA}};
	assign  out0_V_TVALID = {WAYS{in0_V_TVALID}} & ~done;
	assign  in0_V_TREADY = &served;

	always @(posedge ap_clk) begin
		if(!ap_rst_n)  done <= 0;
		else if(in0_V_TVALID)  done <= &served? {WAYS{1'b0}} : served;
	end
endmodule
