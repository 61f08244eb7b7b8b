// SPDX-License-Identifier: Apache-2.0
// One vector over a serial port: a request comes in, goes through the network, and its reply goes out.
//
// Request: IN_BYTES, the input beat from its lowest byte up, then their CRC. Reply: OUT_BYTES of the output beat, then
// their CRC. The CRC has 8 bits, polynomial x^8 + x^2 + x + 1, starts at FF, highest bit first.
// A request with a wrong CRC has no reply. One that is cut off is forgotten after PAUSE cycles of silence, so whoever
// has waited that long is understood again. The next request is read when the reply is out.
module qap_exchange #(
    parameter IN_BYTES = 16,
    parameter OUT_BYTES = 8,
    parameter DIVIDER = 217,
    parameter PAUSE = 524288
) (
    input                        clk,
    input                        rx,
    output                       tx,
    output                       reset_n,
    output reg [ 8*IN_BYTES-1:0] in_data,
    output                       in_valid,
    input                        in_ready,
    input      [8*OUT_BYTES-1:0] out_data,
    input                        out_valid,
    output                       out_ready
);
    localparam [1:0] READ = 0, OFFER = 1, COMPUTE = 2, SEND = 3;
    localparam COUNT = $clog2((IN_BYTES > OUT_BYTES ? IN_BYTES : OUT_BYTES) + 1);
    localparam SILENCE = $clog2(PAUSE + 1);

    function automatic [7:0] with_byte(input [7:0] crc, input [7:0] value);
        integer bit_;
        with_byte = crc ^ value;
        for (bit_ = 0; bit_ < 8; bit_ = bit_ + 1)
            with_byte = {with_byte[6:0], 1'b0} ^ (with_byte[7] ? 8'h07 : 8'h00);
    endfunction

    // Reset while power settles: sixteen cycles.
    reg [4:0] awake = 0;
    assign reset_n = awake[4];

    wire [7:0] got;
    wire got_valid, tx_ready;
    reg [1:0] state = READ;
    reg [COUNT-1:0] count = 0;
    reg [SILENCE-1:0] silence = 0;
    reg [7:0] crc = 8'hFF;
    reg [8*OUT_BYTES-1:0] reply;
    wire last = count == (state == READ ? IN_BYTES : OUT_BYTES);
    wire [7:0] sent = last ? crc : reply[7:0];
    assign in_valid  = state == OFFER;
    assign out_ready = state == COMPUTE;

    qap_uart_rx #(.DIVIDER(DIVIDER)) u_rx (.clk(clk), .rx(rx), .data(got), .valid(got_valid));
    qap_uart_tx #(.DIVIDER(DIVIDER)) u_tx (
        .clk(clk), .data(sent), .valid(state == SEND), .ready(tx_ready), .tx(tx)
    );

    always @(posedge clk) begin
        if (!reset_n) awake <= awake + 1;
        case (state)
            READ: begin
                silence <= got_valid || count == 0 ? 0 : silence + 1;
                if (got_valid) begin
                    if (last) begin
                        count <= 0;
                        crc   <= 8'hFF;
                        if (got == crc) state <= OFFER;
                    end else begin
                        in_data <= {got, in_data} >> 8;
                        count <= count + 1;
                        crc <= with_byte(crc, got);
                    end
                end else if (silence == PAUSE) begin
                    count <= 0;
                    crc   <= 8'hFF;
                end
            end
            OFFER: if (in_ready) state <= COMPUTE;
            COMPUTE:
            if (out_valid) begin
                reply <= out_data;
                state <= SEND;
            end
            SEND:
            if (tx_ready) begin
                if (last) begin
                    count <= 0;
                    crc   <= 8'hFF;
                    state <= READ;
                end else begin
                    reply <= reply >> 8;
                    count <= count + 1;
                    crc   <= with_byte(crc, reply[7:0]);
                end
            end
        endcase
    end
endmodule
