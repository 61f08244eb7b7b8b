// SPDX-License-Identifier: Apache-2.0
// A stream's handshake around hardware that has none: what enters comes out LATENCY cycles later, whatever else
// happens. Results wait in a queue; a frame is taken only while there is room for its result.

module qap_fixed_latency #(
    parameter LATENCY = 0,
    parameter BITS = 8
) (
    input clock,
    input reset_n,
    input in_valid,
    output in_ready,
    input [BITS-1:0] results,
    output [BITS-1:0] out_data,
    output out_valid,
    input out_ready
);
    localparam DEPTH = LATENCY + 2;

    reg [BITS-1:0] queue [0:DEPTH-1];
    integer first = 0, last = 0, waiting = 0, taken = 0;

    wire enter = in_valid && in_ready;
    wire leave = out_valid && out_ready;
    wire arrives;

    generate
        if (LATENCY == 0) begin : at_once
            assign arrives = enter;
        end else begin : later
            reg [LATENCY-1:0] on_its_way = 0;
            wire [LATENCY:0] moved = {on_its_way, enter};
            always @(posedge clock)
                on_its_way <= reset_n ? moved[LATENCY-1:0] : 0;
            assign arrives = on_its_way[LATENCY-1];
        end
    endgenerate

    // Frames that were taken and whose results have not left.
    assign in_ready = reset_n && taken < DEPTH;
    assign out_valid = waiting > 0;
    assign out_data = queue[first];

    always @(posedge clock) begin
        if (!reset_n) begin
            first <= 0;
            last <= 0;
            waiting <= 0;
            taken <= 0;
        end else begin
            if (arrives) begin
                queue[last] <= results;
                last <= last == DEPTH - 1 ? 0 : last + 1;
            end
            if (leave)
                first <= first == DEPTH - 1 ? 0 : first + 1;
            waiting <= waiting + (arrives ? 1 : 0) - (leave ? 1 : 0);
            taken <= taken + (enter ? 1 : 0) - (leave ? 1 : 0);
        end
    end
endmodule
