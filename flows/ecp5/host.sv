// SPDX-License-Identifier: Apache-2.0
// For simulation only: the computer at the other end of the wires. It shares no line with flows/ecp5/uart.sv.
//
// A beat of IN_BYTES (a request with its CRC) is sent byte by byte, and the OUT_BYTES that come back are a beat. BIT is
// cycles a bit by the host's own clock, which may be a little off. Before the third request it sends the same one with
// a bit flipped, before the fifth one half of it; after both it is silent for SILENCE cycles, in which nothing may come.
module qap_host #(
    parameter IN_BYTES = 17,
    parameter OUT_BYTES = 9,
    parameter BIT = 220,
    parameter SILENCE = 600000
) (
    input                        clock,
    input                        reset_n,
    input      [ 8*IN_BYTES-1:0] in_data,
    input                        in_valid,
    output                       in_ready,
    output reg [8*OUT_BYTES-1:0] out_data,
    output                       out_valid,
    input                        out_ready,
    output                       to_board,
    input                        from_board
);
    localparam integer TEN = 10 * IN_BYTES;
    localparam [2:0] IDLE = 0, DISTURB = 1, SILENT = 2, ASK = 3, LISTEN = 4, GIVE = 5, LOST = 6;
    reg [2:0] state = IDLE;
    reg [2:0] requests = 0;
    reg [8*IN_BYTES-1:0] request;
    // What is on the wire, bit by bit: `sent` bits are out, `cycle` of the next one have passed.
    integer sent = 0, cycle = 0, quiet = 0;
    wire [8*IN_BYTES-1:0] now = state == DISTURB && requests == 3 ? request ^ 1 : request;
    wire [9:0] framed = {1'b1, now[8*(sent/10)+:8], 1'b0};
    wire sending = state == DISTURB || state == ASK;
    assign to_board = !sending || framed[sent%10];
    // A request that is cut off ends behind a whole byte.
    wire [31:0] enough = state == DISTURB && requests == 5 ? 10 * (IN_BYTES / 2) : TEN;

    // Time since the start bit's edge, in cycles; -1 between bytes.
    integer heard = -1, bytes = 0;
    reg [7:0] shifted;
    wire middle = heard >= 0 && heard % BIT == BIT / 2;

    assign in_ready  = reset_n && state == IDLE;
    assign out_valid = state == GIVE;

    always @(posedge clock) begin
        if (heard < 0) heard <= from_board ? -1 : 0;
        else heard <= heard / BIT == 9 && middle ? -1 : heard + 1;
        if (middle && heard / BIT >= 1 && heard / BIT <= 8) shifted <= {from_board, shifted[7:1]};
        if (middle && heard / BIT == 9) begin
            out_data <= {shifted, out_data} >> 8;
            bytes <= bytes + 1;
        end
        // A broken stop bit, or a byte that nobody has asked for.
        if ((middle && heard / BIT == 9 && !from_board) || (heard >= 0 && (state == DISTURB || state == SILENT)))
            state <= LOST;
        else
            case (state)
                IDLE:
                if (in_ready && in_valid) begin
                    request <= in_data;
                    requests <= requests == 7 ? 7 : requests + 1;
                    state <= requests == 2 || requests == 4 ? DISTURB : ASK;
                end
                SILENT: begin
                    quiet <= quiet + 1;
                    if (quiet == SILENCE) begin
                        quiet <= 0;
                        state <= ASK;
                    end
                end
                LISTEN:
                if (bytes == OUT_BYTES) begin
                    bytes <= 0;
                    state <= GIVE;
                end
                GIVE: if (out_ready) state <= IDLE;
                default: ;
            endcase
        if (sending) begin
            cycle <= cycle == BIT - 1 ? 0 : cycle + 1;
            if (cycle == BIT - 1) begin
                sent <= sent + 1;
                if (sent + 1 == enough) begin
                    sent  <= 0;
                    state <= state == ASK ? LISTEN : SILENT;
                end
            end
        end
    end
endmodule
