// SPDX-License-Identifier: Apache-2.0
// A sparse matrix of constants times every vector that comes in: only weights that are not zero take time.
//
// A vector is BEATS beats of SIMD elements, and comes out as beats of PE sums. Group g of the PE groups computes the sums
// that leave in lane g. In a slot each of its BANKS lanes multiplies a weight with an element of its own bank, and the
// products are added up. What each lane does in each slot is a program of SLOTS words, run over every vector.
//
// A bank has two pages: one is read while the next vector is written to the other. A table says which bank each element
// of a beat goes to; without CROSS, element k goes to bank k % BANKS. Where BANKS <= SIMD, a bank takes a word of
// SIMD/BANKS elements from every beat.
// Groups finish at different times, so up to QUEUE sums of each wait for the others; 0 if all finish together.
// All but writing of pages stands still while a result waits to be taken.

module qap_sparse #(
	parameter SIMD = 1,         // elements of a beat; less than BANKS, or a multiple of it
	parameter BEATS = 4,        // beats of a vector
	parameter BANKS = 1,
	parameter PLACES = 4,       // words of a page of a bank
	parameter PE = 1,
	parameter SLOTS = 4,
	parameter QUEUE = 0,        // a power of two, or 0
	parameter IN_BITS = 2,
	parameter IN_SIGNED = 0,
	parameter WEIGHT_BITS = 2,  // signed; the lowest value is not used
	parameter OUT_BITS = 8,     // signed; holds the sum of any of an output's products
	parameter PROGRAM = "",     // SLOTS lines of hex, read at elaboration
	parameter BLOCK = 0,        // 1: the program is block RAM, 0: logic
	parameter CROSS = 0,        // 1: any element of a beat may go to any bank; needed where BANKS > SIMD
	parameter BANKING = "",     // with CROSS, BEATS lines of hex: the element at each place of the banks' words, if any
	parameter BLOCK_BANKS = 0,  // 1: banks are block RAM, 0: LUT RAM
	parameter IN_WIDTH = (SIMD*IN_BITS + 7)/8*8,
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
	localparam VALUES = SIMD > BANKS? SIMD/BANKS : 1;   // elements of a word of a bank
	localparam POSITIONS = VALUES*BANKS;                // of elements in words, those of all banks side by side
	localparam FEWER = BANKS > SIMD;                    // a beat does not have an element for every bank
	localparam EBITS = $clog2(SIMD);
	localparam FIELD_BITS = EBITS + FEWER;
	localparam BBITS = BEATS > 1? $clog2(BEATS) : 1;
	localparam SBITS = SLOTS > 1? $clog2(SLOTS) : 1;
	localparam ABITS = PLACES > 1? $clog2(PLACES) : 1;
	localparam VBITS = $clog2(VALUES);
	localparam LANE_BITS = WEIGHT_BITS + ABITS + VBITS;
	localparam WORD_BITS = 1 + PE + PE*BANKS*LANE_BITS;
	localparam PRODUCT_BITS = IN_BITS + WEIGHT_BITS - IN_SIGNED;
	localparam LEVELS = $clog2(BANKS);
	localparam LEAVES = 2**LEVELS;
	localparam SUM_AT = 1 + LEVELS;  // the stage whose products are added to sums
	localparam STAGES = SUM_AT + 2 + (QUEUE > 0);
	genvar  pe, bank, level, at, bit_;

	//- Pages: written beat by beat, then gone through slot by slot ---------
	wire  move = !out0_V_TVALID || out0_V_TREADY;
	reg [BBITS-1:0]  beat = 0;
	reg  write_page = 1'b0;
	reg [1:0]  full = 0;  // pages that may not be written to
	reg [1:0]  todo = 0;  // of these, pages whose last slot has not begun
	reg [SBITS-1:0]  slot = 0;
	reg  read_page = 1'b0;
	reg  begun = 1'b0, begun_final = 1'b0, begun_page = 1'b0;  // of the slot whose word is there

	assign  in0_V_TREADY = !full[1];
	wire  write = in0_V_TVALID && in0_V_TREADY;
	wire  filled = write && beat == BEATS-1;
	wire  step = move && todo != 0;
	wire  final_slot = slot == SLOTS-1;
	wire  freed = move && begun && begun_final;

	always @(posedge ap_clk) begin
		if(!ap_rst_n) begin
			beat <= 0;
			write_page <= 1'b0;
			full <= 0;
			todo <= 0;
			slot <= 0;
			read_page <= 1'b0;
			begun <= 1'b0;
			// A reset keeps this from being an address register of the banks' own.
			begun_page <= 1'b0;
		end
		else begin
			if(write)  beat <= filled? {BBITS{1'b0}} : beat + 1'b1;
			if(filled)  write_page <= !write_page;
			full <= full + filled - freed;
			todo <= todo + filled - (step && final_slot);
			if(step)  slot <= final_slot? {SBITS{1'b0}} : slot + 1'b1;
			if(step && final_slot)  read_page <= !read_page;
			if(move) begin
				begun <= step;
				begun_page <= read_page;
			end
		end
		if(move)  begun_final <= final_slot;
	end

	//- Program: whether a beat of results is complete, which groups finish a sum, then what each lane does ----
	reg [WORD_BITS-1:0]  word;
	if(BLOCK) begin : gen_block
		(* rom_style = "block" *)
		reg [WORD_BITS-1:0]  rom[0:SLOTS-1];
		initial  $readmemh(PROGRAM, rom);
		always @(posedge ap_clk) begin
			if(move)  word <= rom[slot];
		end
	end
	else begin : gen_logic
		(* logic_block *)
		reg [WORD_BITS-1:0]  rom[0:SLOTS-1];
		initial  $readmemh(PROGRAM, rom);
		always @(posedge ap_clk) begin
			if(move)  word <= rom[slot];
		end
	end

	reg [STAGES-1:0]  emit = 0;
	reg [SUM_AT:0]  active = 0;
	always @(posedge ap_clk) begin
		if(!ap_rst_n) begin
			emit <= 0;
			active <= 0;
		end
		else if(move) begin
			emit <= { emit[STAGES-2:0], begun && word[0] };
			active <= { active[SUM_AT-1:0], begun };
		end
	end
	for(at = 0; at <= SUM_AT; at = at + 1) begin : gen_last
		reg [PE-1:0]  mark = 0;
		wire [PE-1:0]  next;
		if(at == 0)  assign  next = word[PE:1];
		else  assign  next = gen_last[at-1].mark;
		always @(posedge ap_clk) begin
			// A reset keeps these from being a shift register in LUTs.
			if(!ap_rst_n)  mark <= 0;
			else if(move)  mark <= next;
		end
	end
	wire [PE-1:0]  last = gen_last[SUM_AT].mark;
	assign  out0_V_TVALID = emit[STAGES-1];

	//- Banks: a memory each, with a port for every group -------------------
	wire [BANKS-1:0]  taken;
	wire [POSITIONS*IN_BITS-1:0]  placed;
	if(CROSS) begin : gen_cross
		(* logic_block *)
		reg [POSITIONS*FIELD_BITS-1:0]  rom[0:BEATS-1];
		initial  $readmemh(BANKING, rom);
		wire [POSITIONS*FIELD_BITS-1:0]  fields = rom[beat];
		wire [IN_BITS-1:0]  element[0:SIMD-1];
		for(at = 0; at < SIMD; at = at + 1) begin : gen_element
			assign  element[at] = in0_V_TDATA[at*IN_BITS +: IN_BITS];
		end
		for(at = 0; at < POSITIONS; at = at + 1) begin : gen_position
			wire [FIELD_BITS-1:0]  field = fields[at*FIELD_BITS +: FIELD_BITS];
			wire [EBITS:0]  chosen = field & 2**EBITS - 1;
			assign  placed[at*IN_BITS +: IN_BITS] = element[chosen];
			if(at < BANKS)  assign  taken[at] = write && (!FEWER || field[FIELD_BITS-1]);
		end
	end
	else begin : gen_straight
		assign  taken = {BANKS{write}};
		assign  placed = in0_V_TDATA[SIMD*IN_BITS-1:0];
	end

	wire [PE*BANKS*PRODUCT_BITS-1:0]  products;
	for(bank = 0; bank < BANKS; bank = bank + 1) begin : gen_bank
		wire [ABITS-1:0]  place;
		if(FEWER) begin : gen_place
			reg [ABITS-1:0]  count = 0;
			always @(posedge ap_clk) begin
				if(!ap_rst_n || filled)  count <= 0;
				else if(taken[bank])  count <= count + 1'b1;
			end
			assign  place = count;
		end
		else  assign  place = beat;

		wire [VALUES*IN_BITS-1:0]  comes;
		for(at = 0; at < VALUES; at = at + 1) begin : gen_value
			assign  comes[at*IN_BITS +: IN_BITS] = placed[(at*BANKS + bank)*IN_BITS +: IN_BITS];
		end

		wire [PE*VALUES*IN_BITS-1:0]  seen;
		if(BLOCK_BANKS) begin : gen_memory
			for(pe = 0; pe < PE; pe = pe + 1) begin : gen_group
				(* ram_style = "block" *)
				reg [VALUES*IN_BITS-1:0]  pages[0:2**(ABITS+1)-1];
				reg [VALUES*IN_BITS-1:0]  data;
				always @(posedge ap_clk) begin
					if(taken[bank])  pages[{write_page, place}] <= comes;
					if(move)  data <= pages[{begun_page, word[1 + PE + (pe*BANKS + bank)*LANE_BITS + WEIGHT_BITS +: ABITS]}];
				end
				assign  seen[pe*VALUES*IN_BITS +: VALUES*IN_BITS] = data;
			end
		end
		else begin : gen_memory
			// A cell of LUT RAM has three ports to read from: three groups share a copy.
			for(at = 0; at < PE; at = at + 3) begin : gen_copy
				(* ram_style = "distributed" *)
				reg [VALUES*IN_BITS-1:0]  pages[0:2**(ABITS+1)-1];
				always @(posedge ap_clk) begin
					if(taken[bank])  pages[{write_page, place}] <= comes;
				end
				for(pe = at; pe < PE && pe < at + 3; pe = pe + 1) begin : gen_group
					assign  seen[pe*VALUES*IN_BITS +: VALUES*IN_BITS] =
						pages[{begun_page, word[1 + PE + (pe*BANKS + bank)*LANE_BITS + WEIGHT_BITS +: ABITS]}];
				end
			end
		end

		for(pe = 0; pe < PE; pe = pe + 1) begin : gen_lane
			localparam AT = pe*BANKS + bank;
			wire [LANE_BITS-1:0]  task_ = word[1 + PE + AT*LANE_BITS +: LANE_BITS];
			wire [VALUES*IN_BITS-1:0]  there = seen[pe*VALUES*IN_BITS +: VALUES*IN_BITS];
			reg [WEIGHT_BITS-1:0]  weight;
			always @(posedge ap_clk) begin
				if(move)  weight <= task_[WEIGHT_BITS-1:0];
			end

			wire [IN_BITS-1:0]  value;
			if(BLOCK_BANKS) begin : gen_value
				reg [LANE_BITS:0]  chosen;
				always @(posedge ap_clk) begin
					if(move)  chosen <= task_ >> WEIGHT_BITS+ABITS;
				end
				wire [VALUES*IN_BITS-1:0]  shifted = there >> chosen*IN_BITS;
				assign  value = shifted[IN_BITS-1:0];
			end
			else begin : gen_value
				reg [IN_BITS-1:0]  data;
				wire [LANE_BITS:0]  chosen = task_ >> WEIGHT_BITS+ABITS;
				wire [IN_BITS-1:0]  each[0:VALUES-1];
				for(at = 0; at < VALUES; at = at + 1) begin : gen_each
					assign  each[at] = there[at*IN_BITS +: IN_BITS];
				end
				always @(posedge ap_clk) begin
					if(move)  data <= each[chosen];
				end
				assign  value = data;
			end

			// A row per bit of the weight, each added to the upper bits of those before: half the LUTs of what
			// synthesis makes of a product. The top bit counts negative.
			wire signed [IN_BITS:0]  number = { IN_SIGNED? value[IN_BITS-1] : 1'b0, value };
			wire signed [IN_BITS+WEIGHT_BITS:0]  sum[0:WEIGHT_BITS-1];
			assign  sum[0] = weight[0]? number : 0;
			for(bit_ = 1; bit_ < WEIGHT_BITS; bit_ = bit_ + 1) begin : gen_row
				wire signed [IN_BITS+1:0]  upper = sum[bit_-1] >>> bit_;
				wire signed [IN_BITS:0]  row = weight[bit_]? number : 0;
				wire signed [IN_BITS+1:0]  both = bit_ == WEIGHT_BITS-1? upper - row : upper + row;
				wire signed [IN_BITS+1+bit_:0]  all = { both, sum[bit_-1][bit_-1:0] };
				assign  sum[bit_] = all;
			end
			reg [PRODUCT_BITS-1:0]  product;
			always @(posedge ap_clk) begin
				if(move)  product <= sum[WEIGHT_BITS-1];
			end
			assign  products[AT*PRODUCT_BITS +: PRODUCT_BITS] = product;
		end
	end

	//- Sums ----------------------------------------------------------------
	localparam QBITS = QUEUE > 1? $clog2(QUEUE) : 1;
	reg [QBITS-1:0]  front = 0;
	if(QUEUE > 1) begin : gen_front
		always @(posedge ap_clk) begin
			if(!ap_rst_n)  front <= 0;
			else if(move && emit[STAGES-2])  front <= front + 1'b1;
		end
	end
	for(pe = 0; pe < PE; pe = pe + 1) begin : gen_group
		// A register after each level of the tree, so that each addition is a carry chain of its own.
		wire signed [OUT_BITS-1:0]  node[0:2*LEAVES-2];
		for(bank = 0; bank < LEAVES; bank = bank + 1) begin : gen_leaf
			if(bank < BANKS) begin : gen_product
				wire signed [PRODUCT_BITS-1:0]  product = products[(pe*BANKS + bank)*PRODUCT_BITS +: PRODUCT_BITS];
				assign  node[bank] = product;
			end
			else  assign  node[bank] = 0;
		end
		for(at = 0; at < LEAVES-1; at = at + 1) begin : gen_node
			// So many levels above the products.
			localparam HEIGHT = LEVELS - $clog2(LEAVES - at) + 1;
			localparam FULL = PRODUCT_BITS + HEIGHT;
			localparam BITS = FULL < OUT_BITS? FULL : OUT_BITS;
			reg signed [BITS-1:0]  data;
			wire signed [BITS-1:0]  left = node[2*at], right = node[2*at+1];
			always @(posedge ap_clk) begin
				if(move)  data <= left + right;
			end
			assign  node[LEAVES + at] = data;
		end

		reg  first = 1'b1;
		reg [OUT_BITS-1:0]  sum;
		wire [OUT_BITS-1:0]  next = (first? {OUT_BITS{1'b0}} : sum) + node[2*LEAVES-2];
		wire  add = move && active[SUM_AT];
		always @(posedge ap_clk) begin
			if(!ap_rst_n)  first <= 1'b1;
			else if(add)  first <= last[pe];
			if(add)  sum <= next;
		end

		if(QUEUE == 0)  assign  out0_V_TDATA[pe*OUT_BITS +: OUT_BITS] = sum;
		else begin : gen_queue
			wire  finished = add && last[pe];
			wire [OUT_BITS-1:0]  oldest;
			if(QUEUE == 1) begin : gen_one
				reg [OUT_BITS-1:0]  waiting;
				always @(posedge ap_clk) begin
					if(finished)  waiting <= next;
				end
				assign  oldest = waiting;
			end
			else begin : gen_several
				reg [QBITS-1:0]  back = 0;
				(* ram_style = "distributed" *)
				reg [OUT_BITS-1:0]  waiting[0:QUEUE-1];
				always @(posedge ap_clk) begin
					if(!ap_rst_n)  back <= 0;
					else if(finished)  back <= back + 1'b1;
					if(finished)  waiting[back] <= next;
				end
				assign  oldest = waiting[front];
			end
			reg [OUT_BITS-1:0]  data;
			always @(posedge ap_clk) begin
				if(move)  data <= oldest;
			end
			assign  out0_V_TDATA[pe*OUT_BITS +: OUT_BITS] = data;
		end
	end
	if(OUT_WIDTH > PE*OUT_BITS)  assign  out0_V_TDATA[OUT_WIDTH-1:PE*OUT_BITS] = 0;
endmodule
