// SPDX-License-Identifier: Apache-2.0
// Behaviour of the block RAMs of 7 series (RAMB18E1, RAMB36E1; AMD UG473) and UltraScale+ (RAMB18E2, RAMB36E2;
// UG573) as far as Yosys' synth_xilinx makes them: one clock, reads with enable and synchronous reset, writes in all
// three modes, every width up to the simple dual port's. Output registers, cascades, ECC and inverted pins stop the
// simulation with $fatal: a wrong model is worse than none. What hardware leaves undefined is wrong on purpose here:
// data read where the other port writes is inverted, unless that port reads first, and unused outputs are ones.

// BYTES of 9 bits, the ninth being the parity bit; a word of simple dual port has LANES of them. Vectors between
// here and the cells below are in that order: data bits 7..0, parity bit 0, data bits 15..8, and so on.
module blockram #(
    parameter integer BYTES = 2048, parameter integer LANES = 4,
    parameter [BYTES*8-1:0] INIT = 0, parameter [BYTES-1:0] INITP = 0,
    parameter integer READ_A = 0, parameter integer READ_B = 0, parameter integer WRITE_A = 0,
    parameter integer WRITE_B = 0, parameter MODE_A = "", parameter MODE_B = "",
    parameter [LANES*9-1:0] START_A = 0, parameter [LANES*9-1:0] START_B = 0, parameter [LANES*9-1:0] RESET_A = 0,
    parameter [LANES*9-1:0] RESET_B = 0, parameter MODELLED = 1
) (
    input clock_a, clock_b, enable_a, enable_b, reset_a, reset_b,
    input [$clog2(BYTES)+2:0] address_a, address_b, input [LANES-1:0] write_a, write_b,
    input [LANES*9-1:0] in_a, in_b, output reg [LANES*9-1:0] out_a, out_b
);
    localparam integer WORD = LANES * 9, TOP = $clog2(BYTES) + 2;
    localparam A_USED = READ_A != 0 || WRITE_A != 0, B_USED = READ_B != 0 || WRITE_B != 0;

    function automatic legal(input integer width, input integer widest);
        legal = width <= widest && (width == 0 || width == 1 || width == 2 || width == 4 || width == 9 || width == 18
            || width == 36 || width == 72);
    endfunction
    function automatic known(input [87:0] mode);
        known = mode == "READ_FIRST" || mode == "WRITE_FIRST" || mode == "NO_CHANGE";
    endfunction
    // Simple dual port, the only mode with the whole width, reads at A and writes at B.
    localparam LEGAL = legal(READ_A, WORD) && legal(WRITE_B, WORD) && legal(READ_B, WORD / 2)
        && legal(WRITE_A, WORD / 2) && (READ_A != WORD && WRITE_B != WORD || READ_B == 0 && WRITE_A == 0)
        && known(MODE_A) && known(MODE_B);
    generate
        if (!MODELLED || !LEGAL) begin : refused
            initial $fatal(1, "%m: a configuration of block RAM that blockram.v does not model");
        end
    endgenerate

    reg [8:0] memory [0:BYTES-1];
    integer at;
    initial begin
        for (at = 0; at < BYTES; at = at + 1) memory[at] = {INITP[at], INIT[8*at+:8]};
        out_a = START_A;
        out_b = START_B;
    end

    function automatic integer lanes(input integer width);
        lanes = width > 9 ? width / 9 : 1;
    endfunction
    // The first byte of the word at a bit address, and the first bit in it of one that is less than a byte.
    function automatic integer first(input integer width, input [TOP:0] address);
        first = int'(address[TOP:3]) & ~(lanes(width) - 1);
    endfunction
    function automatic integer offset(input integer width, input [TOP:0] address);
        offset = width < 9 ? int'(address[2:0]) & ~(width - 1) : 0;
    endfunction
    function automatic [WORD-1:0] fetch(input integer width, input [TOP:0] address);
        integer k;
        fetch = {WORD{1'b1}};
        for (k = 0; k < LANES; k = k + 1)
            if (k < lanes(width)) fetch[9*k+:9] = memory[$clog2(BYTES)'(first(width, address) + k)];
    endfunction
    // The bits of the bytes at an address that are written.
    function automatic [WORD-1:0] mask(input integer width, input [TOP:0] address, input [LANES-1:0] enables);
        integer k;
        mask = 0;
        for (k = 0; k < LANES; k = k + 1) if (k < lanes(width)) mask[9*k+:9] = {9{enables[k]}};
        if (width < 9) mask[8:0] = mask[8:0] & (9'((1 << width) - 1) << offset(width, address));
    endfunction
    // Of the bytes read, the bits that a write elsewhere changes.
    function automatic [WORD-1:0] common(
        input integer reads, input [TOP:0] from, input integer writes, input [TOP:0] to, input [WORD-1:0] written
    );
        integer k, place;
        common = 0;
        for (k = 0; k < LANES; k = k + 1) begin
            place = first(reads, from) + k - first(writes, to);
            if (k < lanes(reads) && place >= 0 && place < lanes(writes)) common[9*k+:9] = written[9*place+:9];
        end
    endfunction
    // What of the bytes read leaves a port.
    function automatic [WORD-1:0] leaving(input integer width, input [TOP:0] address, input [WORD-1:0] bytes);
        leaving = bytes;
        if (width < 9)
            leaving[8:0] = (bytes[8:0] >> offset(width, address)) | (9'h1FF << width);
    endfunction
    task automatic store(
        input integer width, input [TOP:0] address, input [WORD-1:0] written, input [WORD-1:0] data
    );
        integer k;
        reg [8:0] value;
        for (k = 0; k < LANES; k = k + 1)
            if (written[9*k+:9] != 0) begin
                value = k == 0 ? data[8:0] << offset(width, address) : data[9*k+:9];
                memory[$clog2(BYTES)'(first(width, address) + k)] =
                    memory[$clog2(BYTES)'(first(width, address) + k)] & ~written[9*k+:9] | value & written[9*k+:9];
            end
    endtask

    wire clock = A_USED ? clock_a : clock_b;
    reg [WORD-1:0] written_a, written_b, before_a, before_b, after_a, after_b, other_a, other_b;
    always @(posedge clock) begin
        if (A_USED && B_USED && clock_a != clock_b) $fatal(1, "%m: two clocks: not modelled");
        written_a = WRITE_A != 0 && enable_a ? mask(WRITE_A, address_a, write_a) : 0;
        written_b = WRITE_B != 0 && enable_b ? mask(WRITE_B, address_b, write_b) : 0;
        if ((common(WRITE_A, address_a, WRITE_B, address_b, written_b) & written_a) != 0)
            $fatal(1, "%m: both ports write one address: not modelled");
        other_a = common(READ_A, address_a, WRITE_B, address_b, written_b);
        other_b = common(READ_B, address_b, WRITE_A, address_a, written_a);
        before_a = fetch(READ_A, address_a);
        before_b = fetch(READ_B, address_b);
        store(WRITE_A, address_a, written_a, in_a);
        store(WRITE_B, address_b, written_b, in_b);
        after_a = MODE_A == "WRITE_FIRST" ? fetch(READ_A, address_a) : before_a;
        after_b = MODE_B == "WRITE_FIRST" ? fetch(READ_B, address_b) : before_b;
        after_a = after_a & ~other_a | (MODE_B == "READ_FIRST" ? before_a : ~before_a) & other_a;
        after_b = after_b & ~other_b | (MODE_A == "READ_FIRST" ? before_b : ~before_b) & other_b;
        if (READ_A != 0 && enable_a) begin
            if (reset_a) out_a <= RESET_A;
            else if (MODE_A != "NO_CHANGE" || written_a == 0) out_a <= leaving(READ_A, address_a, after_a);
        end
        if (READ_B != 0 && enable_b) begin
            if (reset_b) out_b <= RESET_B;
            else if (MODE_B != "NO_CHANGE" || written_b == 0) out_b <= leaving(READ_B, address_b, after_b);
        end
    end
endmodule

`define ROW(name, row) \
    parameter [255:0] name``row``0 = 0, parameter [255:0] name``row``1 = 0, parameter [255:0] name``row``2 = 0, \
    parameter [255:0] name``row``3 = 0, parameter [255:0] name``row``4 = 0, parameter [255:0] name``row``5 = 0, \
    parameter [255:0] name``row``6 = 0, parameter [255:0] name``row``7 = 0,
`define ROWS(name, row) `ROW(name, row) \
    parameter [255:0] name``row``8 = 0, parameter [255:0] name``row``9 = 0, parameter [255:0] name``row``A = 0, \
    parameter [255:0] name``row``B = 0, parameter [255:0] name``row``C = 0, parameter [255:0] name``row``D = 0, \
    parameter [255:0] name``row``E = 0, parameter [255:0] name``row``F = 0,
`define ALL(name, row) \
    name``row``7, name``row``6, name``row``5, name``row``4, name``row``3, name``row``2, name``row``1, name``row``0
`define BOTH(name, row) \
    name``row``F, name``row``E, name``row``D, name``row``C, name``row``B, name``row``A, name``row``9, name``row``8, \
    `ALL(name, row)
`define INIT_18 `ROWS(INIT_, 0) `ROWS(INIT_, 1) `ROWS(INIT_, 2) `ROWS(INIT_, 3) `ROW(INITP_, 0)
`define INIT_36 \
    `ROWS(INIT_, 0) `ROWS(INIT_, 1) `ROWS(INIT_, 2) `ROWS(INIT_, 3) `ROWS(INIT_, 4) `ROWS(INIT_, 5) \
    `ROWS(INIT_, 6) `ROWS(INIT_, 7) `ROWS(INITP_, 0)
`define BITS_18 {`BOTH(INIT_, 3), `BOTH(INIT_, 2), `BOTH(INIT_, 1), `BOTH(INIT_, 0)}
`define BITS_36 \
    {`BOTH(INIT_, 7), `BOTH(INIT_, 6), `BOTH(INIT_, 5), `BOTH(INIT_, 4), `BOTH(INIT_, 3), `BOTH(INIT_, 2), \
     `BOTH(INIT_, 1), `BOTH(INIT_, 0)}
// Parameters that all four have. `half` is the width of one port.
`define COMMON(half) \
    parameter integer READ_WIDTH_A = 0, parameter integer READ_WIDTH_B = 0, parameter integer WRITE_WIDTH_A = 0, \
    parameter integer WRITE_WIDTH_B = 0, parameter [half-1:0] INIT_A = 0, parameter [half-1:0] INIT_B = 0, \
    parameter [half-1:0] SRVAL_A = 0, parameter [half-1:0] SRVAL_B = 0, parameter INIT_FILE = "NONE", \
    parameter RSTREG_PRIORITY_A = "RSTREG", parameter RSTREG_PRIORITY_B = "RSTREG", \
    parameter SIM_COLLISION_CHECK = "ALL", \
    parameter [0:0] IS_CLKARDCLK_INVERTED = 0, parameter [0:0] IS_CLKBWRCLK_INVERTED = 0, \
    parameter [0:0] IS_ENARDEN_INVERTED = 0, parameter [0:0] IS_ENBWREN_INVERTED = 0, \
    parameter [0:0] IS_RSTRAMARSTRAM_INVERTED = 0, parameter [0:0] IS_RSTRAMB_INVERTED = 0, \
    parameter [0:0] IS_RSTREGARSTREG_INVERTED = 0, parameter [0:0] IS_RSTREGB_INVERTED = 0
`define COMMON_MODELLED \
    DOA_REG == 0 && DOB_REG == 0 && INIT_FILE == "NONE" && !IS_CLKARDCLK_INVERTED && !IS_CLKBWRCLK_INVERTED \
    && !IS_ENARDEN_INVERTED && !IS_ENBWREN_INVERTED && !IS_RSTRAMARSTRAM_INVERTED && !IS_RSTRAMB_INVERTED
`define SERIES7 \
    parameter integer DOA_REG = 0, parameter integer DOB_REG = 0, parameter RAM_MODE = "TDP", \
    parameter RDADDR_COLLISION_HWCONFIG = "DELAYED_WRITE", parameter SIM_DEVICE = "VIRTEX6", \
    parameter WRITE_MODE_A = "WRITE_FIRST", parameter WRITE_MODE_B = "WRITE_FIRST",
`define ULTRASCALE \
    parameter integer DOA_REG = 1, parameter integer DOB_REG = 1, parameter CASCADE_ORDER_A = "NONE", \
    parameter CASCADE_ORDER_B = "NONE", parameter CLOCK_DOMAINS = "INDEPENDENT", parameter ENADDRENA = "FALSE", \
    parameter ENADDRENB = "FALSE", parameter RDADDRCHANGEA = "FALSE", parameter RDADDRCHANGEB = "FALSE", \
    parameter SLEEP_ASYNC = "FALSE", parameter WRITE_MODE_A = "NO_CHANGE", parameter WRITE_MODE_B = "NO_CHANGE",
`define ULTRASCALE_MODELLED \
    CASCADE_ORDER_A == "NONE" && CASCADE_ORDER_B == "NONE" && ENADDRENA == "FALSE" && ENADDRENB == "FALSE" \
    && RDADDRCHANGEA == "FALSE" && RDADDRCHANGEB == "FALSE" && `COMMON_MODELLED
`define CONTROL \
    input CLKARDCLK, CLKBWRCLK, ENARDEN, ENBWREN, REGCEAREGCE, REGCEB, RSTRAMARSTRAM, RSTRAMB, RSTREGARSTREG, RSTREGB

// The inside of each cell: vectors in the order of bytes, and the memory. `bytes` are those of one port.
`define INSIDE(bytes, bits, parities, top, modelled, di_a, dip_a, di_b, dip_b, do_a, dop_a, do_b, dop_b) \
    localparam integer LANES = 2 * bytes, WORD = LANES * 9, HALF = bytes * 9; \
    function automatic [HALF-1:0] join_(input [bytes*8-1:0] data, input [bytes-1:0] parity); \
        integer k; \
        for (k = 0; k < bytes; k = k + 1) join_[9*k+:9] = {parity[k], data[8*k+:8]}; \
    endfunction \
    /* Start and reset values have all parity bits on top, of the width that the port reads. */ \
    function automatic [WORD-1:0] value(input integer width, input [HALF-1:0] a, input [HALF-1:0] b); \
        integer k; \
        value = {WORD{1'b1}}; \
        if (width <= 9) value[8:0] = a[8:0] | (width < 9 ? 9'h1FF << width : 9'd0); \
        else if (width == WORD) value = {join_(b[bytes*8-1:0], b[HALF-1:bytes*8]), \
                                         join_(a[bytes*8-1:0], a[HALF-1:bytes*8])}; \
        else for (k = 0; k < bytes; k = k + 1) \
            if (9 * k < width) value[9*k+:9] = {a[width/9*8+k], a[8*k+:8]}; \
    endfunction \
    wire [WORD-1:0] out_a, out_b; \
    /* The widest word is both halves: read at A, written at B. */ \
    wire [HALF-1:0] upper = READ_WIDTH_A == WORD ? out_a[WORD-1:HALF] : out_b[HALF-1:0]; \
    genvar lane; \
    generate \
        for (lane = 0; lane < bytes; lane = lane + 1) begin : lanes \
            assign {dop_a[lane], do_a[8*lane+:8]} = out_a[9*lane+:9]; \
            assign {dop_b[lane], do_b[8*lane+:8]} = upper[9*lane+:9]; \
        end \
    endgenerate \
    blockram #( \
        .BYTES(1024 * bytes), .LANES(LANES), .INIT(bits), .INITP(parities), .READ_A(READ_WIDTH_A), \
        .READ_B(READ_WIDTH_B), .WRITE_A(WRITE_WIDTH_A), .WRITE_B(WRITE_WIDTH_B), .MODE_A(WRITE_MODE_A), \
        .MODE_B(WRITE_MODE_B), .START_A(value(READ_WIDTH_A, INIT_A, INIT_B)), \
        .START_B(value(READ_WIDTH_B, INIT_B, 0)), .RESET_A(value(READ_WIDTH_A, SRVAL_A, SRVAL_B)), \
        .RESET_B(value(READ_WIDTH_B, SRVAL_B, 0)), .MODELLED(modelled) \
    ) ram ( \
        .clock_a(CLKARDCLK), .clock_b(CLKBWRCLK), .enable_a(ENARDEN), .enable_b(ENBWREN), .reset_a(RSTRAMARSTRAM), \
        .reset_b(RSTRAMB), .address_a(ADDRARDADDR[top:0]), .address_b(ADDRBWRADDR[top:0]), \
        .write_a({{bytes{1'b0}}, WEA}), .write_b(WEBWE), .in_a({{HALF{1'b1}}, join_(di_a, dip_a)}), \
        .in_b(WRITE_WIDTH_B == WORD ? {join_(di_b, dip_b), join_(di_a, dip_a)} \
              : {{HALF{1'b1}}, join_(di_b, dip_b)}), \
        .out_a(out_a), .out_b(out_b) \
    );
// The whole width needs simple dual port; 7 series says so by a parameter, UltraScale by the width.
`define SIMPLE (READ_WIDTH_B == 0 && WRITE_WIDTH_A == 0)
`define WIDE(word) (READ_WIDTH_A == word || WRITE_WIDTH_B == word)

module RAMB18E1 #(`INIT_18 `SERIES7 `COMMON(18)) (
    `CONTROL, input [13:0] ADDRARDADDR, ADDRBWRADDR, input [15:0] DIADI, DIBDI, input [1:0] DIPADIP, DIPBDIP,
    input [1:0] WEA, input [3:0] WEBWE, output [15:0] DOADO, DOBDO, output [1:0] DOPADOP, DOPBDOP
);
    `INSIDE(2, `BITS_18, {`ALL(INITP_, 0)}, 13,
        (RAM_MODE == "SDP" ? `SIMPLE : RAM_MODE == "TDP" && !`WIDE(36)) && `COMMON_MODELLED,
        DIADI, DIPADIP, DIBDI, DIPBDIP, DOADO, DOPADOP, DOBDO, DOPBDOP)
endmodule

module RAMB36E1 #(
    `INIT_36 `SERIES7 parameter EN_ECC_READ = "FALSE", parameter EN_ECC_WRITE = "FALSE",
    parameter RAM_EXTENSION_A = "NONE", parameter RAM_EXTENSION_B = "NONE", `COMMON(36)
) (
    `CONTROL, input [15:0] ADDRARDADDR, ADDRBWRADDR, input [31:0] DIADI, DIBDI, input [3:0] DIPADIP, DIPBDIP,
    input [3:0] WEA, input [7:0] WEBWE, input CASCADEINA, CASCADEINB, INJECTDBITERR, INJECTSBITERR,
    output [31:0] DOADO, DOBDO, output [3:0] DOPADOP, DOPBDOP, output CASCADEOUTA, CASCADEOUTB, DBITERR, SBITERR,
    output [7:0] ECCPARITY, output [8:0] RDADDRECC
);
    `INSIDE(4, `BITS_36, {`BOTH(INITP_, 0)}, 14,
        (RAM_MODE == "SDP" ? `SIMPLE : RAM_MODE == "TDP" && !`WIDE(72)) && EN_ECC_READ == "FALSE"
            && EN_ECC_WRITE == "FALSE" && RAM_EXTENSION_A == "NONE" && RAM_EXTENSION_B == "NONE" && `COMMON_MODELLED,
        DIADI, DIPADIP, DIBDI, DIPBDIP, DOADO, DOPADOP, DOBDO, DOPBDOP)
    assign CASCADEOUTA = 1'b1, CASCADEOUTB = 1'b1, DBITERR = 1'b1, SBITERR = 1'b1;
    assign ECCPARITY = 8'hFF, RDADDRECC = 9'h1FF;
endmodule

module RAMB18E2 #(`INIT_18 `ULTRASCALE `COMMON(18)) (
    `CONTROL, input [13:0] ADDRARDADDR, ADDRBWRADDR, input [15:0] DINADIN, DINBDIN, input [1:0] DINPADINP, DINPBDINP,
    input [1:0] WEA, input [3:0] WEBWE, input ADDRENA, ADDRENB, SLEEP,
    output [15:0] DOUTADOUT, DOUTBDOUT, output [1:0] DOUTPADOUTP, DOUTPBDOUTP
);
    `INSIDE(2, `BITS_18, {`ALL(INITP_, 0)}, 13, `ULTRASCALE_MODELLED,
        DINADIN, DINPADINP, DINBDIN, DINPBDINP, DOUTADOUT, DOUTPADOUTP, DOUTBDOUT, DOUTPBDOUTP)
    always @(posedge CLKARDCLK) if (SLEEP) $fatal(1, "%m: SLEEP: not modelled");
endmodule

module RAMB36E2 #(
    `INIT_36 `ULTRASCALE parameter EN_ECC_PIPE = "FALSE", parameter EN_ECC_READ = "FALSE",
    parameter EN_ECC_WRITE = "FALSE", `COMMON(36)
) (
    `CONTROL, input [14:0] ADDRARDADDR, ADDRBWRADDR, input [31:0] DINADIN, DINBDIN, input [3:0] DINPADINP, DINPBDINP,
    input [3:0] WEA, input [7:0] WEBWE, input ADDRENA, ADDRENB, SLEEP,
    output [31:0] DOUTADOUT, DOUTBDOUT, output [3:0] DOUTPADOUTP, DOUTPBDOUTP
);
    `INSIDE(4, `BITS_36, {`BOTH(INITP_, 0)}, 14,
        EN_ECC_PIPE == "FALSE" && EN_ECC_READ == "FALSE" && EN_ECC_WRITE == "FALSE" && `ULTRASCALE_MODELLED,
        DINADIN, DINPADINP, DINBDIN, DINPBDINP, DOUTADOUT, DOUTPADOUTP, DOUTBDOUT, DOUTPBDOUTP)
    always @(posedge CLKARDCLK) if (SLEEP) $fatal(1, "%m: SLEEP: not modelled");
endmodule
