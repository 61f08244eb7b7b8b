// SPDX-License-Identifier: Apache-2.0
// Weights of one MVAU as an endless stream: a read-only memory that is read from 0 to DEPTH-1, over and over.
//
// It stands in for FINN's memstream, whose memory can be written over AXI-lite: that makes flip-flops of every
// small memory. A ROM becomes logic when it is shallow (and zeros, the pruned weights, cost nothing there),
// block RAM when it is deep.

module qap_weights #(
	parameter WIDTH = 8,  // bits of a beat: PE*SIMD weights, padded to whole bytes
	parameter DEPTH = 1,  // beats of a frame
	parameter FILE = "",  // DEPTH lines of hex, read at elaboration
	parameter BLOCK = 0   // 1: block RAM, 0: logic
)(
	input  wire  ap_clk,
	input  wire  ap_rst_n,
	output wire [WIDTH-1:0]  out0_V_TDATA,
	output wire  out0_V_TVALID,
	input  wire  out0_V_TREADY
);
	if(DEPTH == 1) begin : gen_constant
		reg [WIDTH-1:0]  rom[0:0];
		initial  $readmemh(FILE, rom);
		assign  out0_V_TDATA = rom[0];
		assign  out0_V_TVALID = 1'b1;
	end
	else begin : gen_cycle
		localparam ABITS = $clog2(DEPTH);
		reg [ABITS-1:0]  address = 0;
		reg [WIDTH-1:0]  data;
		reg  valid = 1'b0;
		wire  load = !valid || out0_V_TREADY;

		always @(posedge ap_clk) begin
			if(!ap_rst_n) begin
				address <= 0;
				valid <= 1'b0;
			end
			else if(load) begin
				address <= address == DEPTH-1? {ABITS{1'b0}} : address + 1'b1;
				valid <= 1'b1;
			end
		end
		// The data register has no reset, so that it can be the output register of a block RAM.
		if(BLOCK) begin : gen_block
			(* rom_style = "block" *)
			reg [WIDTH-1:0]  rom[0:DEPTH-1];
			initial  $readmemh(FILE, rom);
			always @(posedge ap_clk) begin
				if(load)  data <= rom[address];
			end
		end
		else begin : gen_logic
			(* logic_block *)  // Yosys' word; Vivado puts shallow memories into LUTs by itself
			reg [WIDTH-1:0]  rom[0:DEPTH-1];
			initial  $readmemh(FILE, rom);
			always @(posedge ap_clk) begin
				if(load)  data <= rom[address];
			end
		end

		assign  out0_V_TDATA = data;
		assign  out0_V_TVALID = valid;
	end
endmodule
