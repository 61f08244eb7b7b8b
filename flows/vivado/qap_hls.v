// SPDX-License-Identifier: Apache-2.0
// A core of an HLS tool as a stream of frames: one beat in, one beat out.
//
// The core has the ports of ap_ctrl_hs and ap_vld: it takes its input in the cycle in which core_start and core_ready
// are high, and gives each element of the result when that is valid, not all in the same cycle, without waiting for
// anybody. So results go into memories, and a frame is started only if there is room for its result.
module qap_hls #(
  parameter IN_BITS = 8,
  parameter IN_BEAT = 8,
  parameter ELEMENTS = 1,
  parameter BITS = 8,
  parameter OUT_BEAT = 8,
  parameter LOG_DEPTH = 5
) (
  input  wire  ap_clk,
  input  wire  ap_rst_n,
  input  wire [IN_BEAT-1:0]  in0_TDATA,
  input  wire  in0_TVALID,
  output wire  in0_TREADY,
  output wire [OUT_BEAT-1:0]  out0_TDATA,
  output wire  out0_TVALID,
  input  wire  out0_TREADY,
  output wire  core_start,
  input  wire  core_ready,
  output wire [IN_BITS-1:0]  core_in,
  input  wire [ELEMENTS*BITS-1:0]  core_result,
  input  wire [ELEMENTS-1:0]  core_result_vld
);
  localparam [LOG_DEPTH:0]  DEPTH = 1 << LOG_DEPTH;
  reg [LOG_DEPTH:0]  started = 0, taken = 0;
  wire [LOG_DEPTH:0]  waiting = started - taken;
  wire [ELEMENTS-1:0]  there;
  wire [ELEMENTS*BITS-1:0]  result;
  assign core_in = in0_TDATA[IN_BITS-1:0];
  assign core_start = in0_TVALID && waiting != DEPTH;
  assign in0_TREADY = core_ready && core_start;
  assign out0_TVALID = &there;
  assign out0_TDATA = result;
  always @(posedge ap_clk) begin
    if(!ap_rst_n) begin
      started <= 0;
      taken <= 0;
    end else begin
      started <= started + (core_start && core_ready);
      taken <= taken + (out0_TVALID && out0_TREADY);
    end
  end
  genvar  i;
  generate
    for(i = 0; i < ELEMENTS; i = i + 1) begin : element
      reg [BITS-1:0]  memory [0:DEPTH-1];
      reg [LOG_DEPTH:0]  given = 0;
      assign there[i] = given != taken;
      assign result[i*BITS+:BITS] = memory[taken[LOG_DEPTH-1:0]];
      always @(posedge ap_clk) begin
        if(core_result_vld[i])  memory[given[LOG_DEPTH-1:0]] <= core_result[i*BITS+:BITS];
        if(!ap_rst_n)  given <= 0;
        else  given <= given + core_result_vld[i];
      end
    end
  endgenerate
endmodule
