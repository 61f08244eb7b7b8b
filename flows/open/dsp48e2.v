// SPDX-License-Identifier: Apache-2.0
// Behaviour of the DSP48E2 (AMD UG579) in the one configuration that multiply-accumulate arrays instantiate:
//     P <= (D - A) * B, delayed, + (0 or P)
// with the registers AD, B, M, OPMODE and P, and nothing else. Every parameter, control input and cascade that
// would ask for more stops the simulation with $fatal: a wrong model is worse than none.
module DSP48E2 #(
    parameter integer ACASCREG = 1, parameter integer ADREG = 1, parameter integer ALUMODEREG = 1,
    parameter AMULTSEL = "A", parameter integer AREG = 1, parameter AUTORESET_PATDET = "NO_RESET",
    parameter AUTORESET_PRIORITY = "RESET", parameter A_INPUT = "DIRECT", parameter integer BCASCREG = 1,
    parameter BMULTSEL = "B", parameter integer BREG = 1, parameter B_INPUT = "DIRECT",
    parameter integer CARRYINREG = 1, parameter integer CARRYINSELREG = 1, parameter integer CREG = 1,
    parameter integer DREG = 1, parameter integer INMODEREG = 1, parameter [3:0] IS_ALUMODE_INVERTED = 4'd0,
    parameter [0:0] IS_CARRYIN_INVERTED = 1'b0, parameter [0:0] IS_CLK_INVERTED = 1'b0,
    parameter [4:0] IS_INMODE_INVERTED = 5'd0, parameter [8:0] IS_OPMODE_INVERTED = 9'd0,
    parameter [0:0] IS_RSTALLCARRYIN_INVERTED = 1'b0, parameter [0:0] IS_RSTALUMODE_INVERTED = 1'b0,
    parameter [0:0] IS_RSTA_INVERTED = 1'b0, parameter [0:0] IS_RSTB_INVERTED = 1'b0,
    parameter [0:0] IS_RSTCTRL_INVERTED = 1'b0, parameter [0:0] IS_RSTC_INVERTED = 1'b0,
    parameter [0:0] IS_RSTD_INVERTED = 1'b0, parameter [0:0] IS_RSTINMODE_INVERTED = 1'b0,
    parameter [0:0] IS_RSTM_INVERTED = 1'b0, parameter [0:0] IS_RSTP_INVERTED = 1'b0,
    parameter [47:0] MASK = 48'h3FFFFFFFFFFF, parameter integer MREG = 1, parameter integer OPMODEREG = 1,
    parameter [47:0] PATTERN = 48'd0, parameter PREADDINSEL = "A", parameter integer PREG = 1,
    parameter [47:0] RND = 48'd0, parameter SEL_MASK = "MASK", parameter SEL_PATTERN = "PATTERN",
    parameter USE_MULT = "MULTIPLY", parameter USE_PATTERN_DETECT = "NO_PATDET", parameter USE_SIMD = "ONE48",
    parameter USE_WIDEXOR = "FALSE", parameter XORSIMD = "XOR24_48_96"
) (
    output [29:0] ACOUT, output [17:0] BCOUT, output CARRYCASCOUT, output [3:0] CARRYOUT, output MULTSIGNOUT,
    output OVERFLOW, output [47:0] P, output PATTERNBDETECT, output PATTERNDETECT, output [47:0] PCOUT,
    output UNDERFLOW, output [7:0] XOROUT, input [29:0] A, input [29:0] ACIN, input [3:0] ALUMODE, input [17:0] B,
    input [17:0] BCIN, input [47:0] C, input CARRYCASCIN, input CARRYIN, input [2:0] CARRYINSEL, input CEA1,
    input CEA2, input CEAD, input CEALUMODE, input CEB1, input CEB2, input CEC, input CECARRYIN, input CECTRL,
    input CED, input CEINMODE, input CEM, input CEP, input CLK, input [26:0] D, input [4:0] INMODE,
    input MULTSIGNIN, input [8:0] OPMODE, input [47:0] PCIN, input RSTA, input RSTALLCARRYIN, input RSTALUMODE,
    input RSTB, input RSTC, input RSTCTRL, input RSTD, input RSTINMODE, input RSTM, input RSTP
);
    localparam MODELLED =
        AMULTSEL == "AD" && BMULTSEL == "B" && PREADDINSEL == "A" && A_INPUT == "DIRECT" && B_INPUT == "DIRECT"
        && USE_MULT == "MULTIPLY" && USE_SIMD == "ONE48" && USE_PATTERN_DETECT == "NO_PATDET"
        && USE_WIDEXOR == "FALSE" && AUTORESET_PATDET == "NO_RESET"
        && AREG == 0 && ACASCREG == 0 && DREG == 0 && ADREG == 1 && BREG == 1 && BCASCREG == 1 && CREG == 0
        && MREG == 1 && PREG == 1 && OPMODEREG == 1 && INMODEREG == 0 && ALUMODEREG == 0 && CARRYINREG == 0
        && CARRYINSELREG == 0 && IS_ALUMODE_INVERTED == 0 && IS_CARRYIN_INVERTED == 0 && IS_CLK_INVERTED == 0
        && IS_INMODE_INVERTED == 0 && IS_RSTALLCARRYIN_INVERTED == 0 && IS_RSTALUMODE_INVERTED == 0
        && IS_RSTA_INVERTED == 0 && IS_RSTB_INVERTED == 0 && IS_RSTCTRL_INVERTED == 0 && IS_RSTC_INVERTED == 0
        && IS_RSTD_INVERTED == 0 && IS_RSTINMODE_INVERTED == 0 && IS_RSTM_INVERTED == 0 && IS_RSTP_INVERTED == 0;
    generate
        if (!MODELLED) begin : refused
            initial $fatal(1, "%m: a configuration of DSP48E2 that dsp48e2.v does not model");
        end
    endgenerate

    // UG579, figure 2-1 and tables 2-4, 2-7: INMODE 01100 is D - A2; OPMODE[1:0] = OPMODE[3:2] = 01 is M;
    // Z = OPMODE[6:4]: 000 is 0, 010 is P; W = OPMODE[8:7]: 00 is 0.
    localparam [4:0] INMODE_D_MINUS_A = 5'b01100;
    localparam [8:0] OPMODE_M = 9'b00_000_01_01, OPMODE_M_PLUS_P = 9'b00_010_01_01;

    reg signed [26:0] difference = 0;
    reg signed [17:0] factor = 0;
    reg signed [44:0] product = 0;
    reg signed [47:0] sum = 0;
    reg [8:0] mode = 0;
    // A register of OPMODE starts at 0, which selects nothing: P becomes 0.
    wire signed [47:0] start = mode == 9'd0 ? 48'sd0 : {{3{product[44]}}, product};
    wire signed [47:0] previous = mode == OPMODE_M_PLUS_P ? sum : 48'sd0;

    always @(posedge CLK) begin
        if (RSTD) difference <= 0;
        else if (CEAD) difference <= $signed(D) - $signed(A[26:0]);
        if (RSTB) factor <= 0;
        else if (CEB2) factor <= B;
        if (RSTM) product <= 0;
        else if (CEM) product <= difference * factor;
        if (RSTCTRL) mode <= 0;
        else if (CECTRL) mode <= OPMODE ^ IS_OPMODE_INVERTED;
        if (RSTP) sum <= 0;
        else if (CEP) sum <= start + previous;
        if (INMODE != INMODE_D_MINUS_A || ALUMODE != 0 || CARRYINSEL != 0 || CARRYIN)
            $fatal(1, "%m: INMODE %b, ALUMODE %b, CARRYINSEL %b, CARRYIN %b: not modelled", INMODE, ALUMODE,
                CARRYINSEL, CARRYIN);
        if (mode != 0 && mode != OPMODE_M && mode != OPMODE_M_PLUS_P) $fatal(1, "%m: OPMODE %b: not modelled", mode);
    end
    assign P = sum;
    // Nothing else leaves the model: what reads a cascade or a flag reads a constant that no test would pass.
    assign ACOUT = {30{1'b1}}, BCOUT = {18{1'b1}}, PCOUT = {48{1'b1}}, CARRYCASCOUT = 1'b1, CARRYOUT = 4'hF;
    assign MULTSIGNOUT = 1'b1, OVERFLOW = 1'b1, PATTERNBDETECT = 1'b1, PATTERNDETECT = 1'b1, UNDERFLOW = 1'b1;
    assign XOROUT = 8'hFF;
endmodule
