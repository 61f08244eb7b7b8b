// SPDX-License-Identifier: Apache-2.0
// Logits of the last layer, exactly: out = (MULTIPLIER[channel] * accumulator + OFFSET[channel]) >>> SHIFT.
//
// Each beat holds PE channels; a frame is FOLD beats. The products are sums of shifted accumulators, four
// multiplier bits a pipeline stage, so they never become DSPs. Takes and gives a beat every cycle; the whole
// pipeline stops while the output is not taken.

module qap_logits #(
	parameter PE = 1,
	parameter FOLD = 1,
	parameter IN_BITS = 8,
	parameter IN_SIGNED = 1,
	parameter MULTIPLIER_BITS = 2,  // signed
	parameter OFFSET_BITS = 2,    // signed
	parameter SHIFT = 0,
	parameter SUM_BITS = 16,      // signed; holds product plus offset
	parameter OUT_BITS = 8,       // signed
	parameter [FOLD*PE*MULTIPLIER_BITS-1:0]  MULTIPLIERS = 0,  // channel 0 in the lowest bits
	parameter [FOLD*PE*OFFSET_BITS-1:0]  OFFSETS = 0,
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
	localparam STEP = 4;
	localparam STAGES = (MULTIPLIER_BITS + STEP-1)/STEP;
	localparam FBITS = FOLD > 1? $clog2(FOLD) : 1;

	reg [STAGES:0]  valid = 0;
	wire  move = !valid[STAGES] || out0_V_TREADY;
	assign  in0_V_TREADY = move;
	assign  out0_V_TVALID = valid[STAGES];

	always @(posedge ap_clk) begin
		if(!ap_rst_n)  valid <= 0;
		else if(move)  valid <= { valid[STAGES-1:0], in0_V_TVALID };
	end

	reg [FBITS-1:0]  fold = 0;
	always @(posedge ap_clk) begin
		if(!ap_rst_n)  fold <= 0;
		else if(move && in0_V_TVALID)  fold <= fold == FOLD-1? {FBITS{1'b0}} : fold + 1'b1;
	end

	// Tables, since a computed part-select of a parameter would be a multiplication.
	wire [PE*MULTIPLIER_BITS-1:0]  all_multipliers[0:FOLD-1];
	wire [PE*OFFSET_BITS-1:0]  all_offsets[0:FOLD-1];
	genvar  pe, stage, bit_, at;
	for(at = 0; at < FOLD; at = at + 1) begin : gen_table
		assign  all_multipliers[at] = MULTIPLIERS[at*PE*MULTIPLIER_BITS +: PE*MULTIPLIER_BITS];
		assign  all_offsets[at] = OFFSETS[at*PE*OFFSET_BITS +: PE*OFFSET_BITS];
	end
	wire [PE*MULTIPLIER_BITS-1:0]  multipliers = all_multipliers[fold];
	wire [PE*OFFSET_BITS-1:0]  offsets = all_offsets[fold];

	for(pe = 0; pe < PE; pe = pe + 1) begin : gen_lane
		// Stage 0 takes the beat in; stage s adds the multiplier's bits 4*(s-1) to 4*s-1.
		reg signed [IN_BITS:0]  value[0:STAGES];
		reg signed [SUM_BITS-1:0]  sum[0:STAGES];
		reg [MULTIPLIER_BITS-1:0]  factor[0:STAGES];

		wire [IN_BITS-1:0]  lane = in0_V_TDATA[pe*IN_BITS +: IN_BITS];
		always @(posedge ap_clk) begin
			if(move) begin
				value[0] <= { IN_SIGNED? lane[IN_BITS-1] : 1'b0, lane };
				factor[0] <= multipliers[pe*MULTIPLIER_BITS +: MULTIPLIER_BITS];
				sum[0] <= $signed(offsets[pe*OFFSET_BITS +: OFFSET_BITS]);
			end
		end
		for(stage = 0; stage < STAGES; stage = stage + 1) begin : gen_stage
			wire signed [SUM_BITS-1:0]  wide = value[stage];
			wire signed [SUM_BITS-1:0]  part[0:STEP];
			assign  part[0] = sum[stage];
			for(bit_ = 0; bit_ < STEP; bit_ = bit_ + 1) begin : gen_bit
				localparam AT = STEP*stage + bit_;
				if(AT >= MULTIPLIER_BITS)  assign  part[bit_+1] = part[bit_];
				else begin : gen_add
					wire signed [SUM_BITS-1:0]  shifted = factor[stage][AT]? wide <<< AT : {SUM_BITS{1'b0}};
					// The top bit of a two's complement multiplier counts negative.
					if(AT == MULTIPLIER_BITS-1)  assign  part[bit_+1] = part[bit_] - shifted;
					else  assign  part[bit_+1] = part[bit_] + shifted;
				end
			end
			always @(posedge ap_clk) begin
				if(move) begin
					value[stage+1] <= value[stage];
					factor[stage+1] <= factor[stage];
					sum[stage+1] <= part[STEP];
				end
			end
		end
		wire signed [SUM_BITS-1:0]  shifted = sum[STAGES] >>> SHIFT;
		assign  out0_V_TDATA[pe*OUT_BITS +: OUT_BITS] = shifted[OUT_BITS-1:0];
	end
	if(OUT_WIDTH > PE*OUT_BITS)  assign  out0_V_TDATA[OUT_WIDTH-1:PE*OUT_BITS] = 0;
endmodule
