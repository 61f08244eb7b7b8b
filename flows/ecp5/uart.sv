// SPDX-License-Identifier: Apache-2.0
// A serial port: 8 data bits, no parity, 1 stop bit, lowest bit first. DIVIDER is clock cycles a bit.
// Registers start at the values that they are declared with, which an ECP5 loads with its bitstream.

// Every byte that arrives, for one cycle of `valid`. A byte without its stop bit is dropped.
module qap_uart_rx #(
    parameter DIVIDER = 217
) (
    input            clk,
    input            rx,
    output reg [7:0] data,
    output reg       valid
);
    localparam WIDTH = $clog2(DIVIDER + 1);
    // The pin knows nothing of the clock: two registers until it is 0 or 1 for sure, one more to see it fall.
    reg [2:0] line = 3'b111;
    reg [WIDTH-1:0] wait_cycles = 0;
    // 0: between bytes; 10: start bit; 9 to 2: data; 1: stop.
    reg [3:0] left = 0;
    initial valid = 0;

    always @(posedge clk) begin
        line  <= {line[1:0], rx};
        valid <= 0;
        if (left == 0) begin
            if (line[2] && !line[1]) begin
                left <= 10;
                wait_cycles <= DIVIDER / 2 - 1;
            end
        end else if (wait_cycles != 0) begin
            wait_cycles <= wait_cycles - 1;
        end else begin
            // The middle of a bit.
            wait_cycles <= DIVIDER - 1;
            left <= left - 1;
            if (left == 10) begin
                if (line[1]) left <= 0;  // a glitch, no start bit
            end else if (left > 1) begin
                data <= {line[1], data[7:1]};
            end else begin
                valid <= line[1];
            end
        end
    end
endmodule

// Sends `data` when `valid` and `ready` are both high.
module qap_uart_tx #(
    parameter DIVIDER = 217
) (
    input       clk,
    input [7:0] data,
    input       valid,
    output      ready,
    output      tx
);
    localparam WIDTH = $clog2(DIVIDER + 1);
    reg [8:0] bits = 9'h1FF;
    reg [3:0] left = 0;
    reg [WIDTH-1:0] wait_cycles = 0;
    assign ready = left == 0;
    assign tx = bits[0];

    always @(posedge clk) begin
        if (left == 0) begin
            if (valid) begin
                bits <= {data, 1'b0};
                left <= 10;
                wait_cycles <= DIVIDER - 1;
            end
        end else if (wait_cycles != 0) begin
            wait_cycles <= wait_cycles - 1;
        end else begin
            bits <= {1'b1, bits[8:1]};
            left <= left - 1;
            wait_cycles <= DIVIDER - 1;
        end
    end
endmodule
