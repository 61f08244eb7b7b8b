// SPDX-License-Identifier: Apache-2.0
// One frame through the top function of a project: an array of values, or with QAP_STREAM a stream of positions.

#ifndef QAP_FRAME_H_
#define QAP_FRAME_H_

// Gives the QAP_OUTPUTS values that QAP_INPUTS values become; false if another number of them came out.
inline bool qap_frame(const long long *values, long long *results) {
#ifdef QAP_STREAM
    hls::stream<input_t> inputs("inputs");
    hls::stream<result_t> outputs("outputs");
    for (unsigned i = 0; i < QAP_INPUTS; i += input_t::size) {
        input_t packet;
        for (unsigned lane = 0; lane < input_t::size; lane++)
            packet[lane] = values[i + lane];
        inputs.write(packet);
    }
    qap2fpga(inputs, outputs);
    for (unsigned i = 0; i < QAP_OUTPUTS; i += result_t::size) {
        if (outputs.empty())
            return false;
        const result_t packet = outputs.read();
        for (unsigned lane = 0; lane < result_t::size; lane++)
            results[i + lane] = packet[lane].to_int64();
    }
    return inputs.empty() && outputs.empty();
#else
    input_t inputs[QAP_INPUTS];
    result_t outputs[QAP_OUTPUTS];
    for (int i = 0; i < QAP_INPUTS; i++)
        inputs[i] = values[i];
    qap2fpga(inputs, outputs);
    for (int i = 0; i < QAP_OUTPUTS; i++)
        results[i] = outputs[i].to_int64();
    return true;
#endif
}

#endif
