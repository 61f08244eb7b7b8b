// SPDX-License-Identifier: Apache-2.0
// The class of a frame: the index of its largest element, the first one if several are equal.
//
// A frame is FOLD beats of PE elements; one index comes out a frame. Takes a beat every cycle unless the index
// before is still waiting to be taken when the next frame ends.

module qap_class #(
	parameter PE = 1,
	parameter FOLD = 1,
	parameter IN_BITS = 8,
	parameter IN_SIGNED = 1,
	parameter OUT_BITS = 1,  // holds FOLD*PE-1
	parameter IN_WIDTH = (PE*IN_BITS + 7)/8*8,
	parameter OUT_WIDTH = (OUT_BITS + 7)/8*8
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
	localparam FBITS = FOLD > 1? $clog2(FOLD) : 1;

	reg [FBITS-1:0]  fold = 0;
	reg [OUT_BITS-1:0]  base = 0;  // fold*PE
	reg  valid = 1'b0;
	reg [OUT_BITS-1:0]  index = 0;
	// The largest element of this frame's earlier beats.
	reg signed [IN_BITS:0]  most = 0;
	reg [OUT_BITS-1:0]  most_index = 0;

	wire  last = fold == FOLD-1;
	wire  move = in0_V_TVALID && in0_V_TREADY;
	assign  in0_V_TREADY = !last || !valid || out0_V_TREADY;

	// One comparison after the other within a beat: PE of the last layer is small.
	wire signed [IN_BITS:0]  best[0:PE];
	wire [OUT_BITS-1:0]  best_index[0:PE];
	assign  best[0] = most;
	assign  best_index[0] = most_index;
	genvar  pe;
	for(pe = 0; pe < PE; pe = pe + 1) begin : gen_lane
		wire [IN_BITS-1:0]  lane = in0_V_TDATA[pe*IN_BITS +: IN_BITS];
		wire signed [IN_BITS:0]  value = { IN_SIGNED? lane[IN_BITS-1] : 1'b0, lane };
		wire  larger = value > best[pe] || (pe == 0 && fold == 0);
		assign  best[pe+1] = larger? value : best[pe];
		assign  best_index[pe+1] = larger? base + pe : best_index[pe];
	end

	always @(posedge ap_clk) begin
		if(move) begin
			most <= best[PE];
			most_index <= best_index[PE];
		end
	end
	always @(posedge ap_clk) begin
		if(!ap_rst_n) begin
			fold <= 0;
			base <= 0;
			valid <= 1'b0;
		end
		else begin
			if(move) begin
				fold <= last? {FBITS{1'b0}} : fold + 1'b1;
				base <= last? {OUT_BITS{1'b0}} : base + PE;
			end
			if(move && last) begin
				valid <= 1'b1;
				index <= best_index[PE];
			end
			else if(out0_V_TREADY)  valid <= 1'b0;
		end
	end

	assign  out0_V_TVALID = valid;
	assign  out0_V_TDATA = index;
endmodule
