// SPDX-License-Identifier: Apache-2.0
// Frames of values into the types of a project and out of them: an array, or a stream of positions.

#ifndef QAP_FRAME_H_
#define QAP_FRAME_H_

template <class value_T> void qap_put(value_T *to, const long long *values, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        to[i] = values[i];
}

template <class packet_T> void qap_put(hls::stream<packet_T> &to, const long long *values, unsigned count) {
    for (unsigned i = 0; i < count; i += packet_T::size) {
        packet_T packet;
        for (unsigned lane = 0; lane < packet_T::size; lane++)
            packet[lane] = values[i + lane];
        to.write(packet);
    }
}

// False if there are fewer or more than `count` values.
template <class value_T> bool qap_take(value_T *from, long long *results, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        results[i] = from[i].to_int64();
    return true;
}

template <class packet_T> bool qap_take(hls::stream<packet_T> &from, long long *results, unsigned count) {
    for (unsigned i = 0; i < count; i += packet_T::size) {
        if (from.empty())
            return false;
        const packet_T packet = from.read();
        for (unsigned lane = 0; lane < packet_T::size; lane++)
            results[i + lane] = packet[lane].to_int64();
    }
    return from.empty();
}

// Whether all that was put in has been taken; an array says nothing of it.
template <class value_T> bool qap_empty(value_T *) { return true; }

template <class packet_T> bool qap_empty(hls::stream<packet_T> &from) { return from.empty(); }

// Gives the QAP_OUTPUTS values that QAP_INPUTS values become; false if another number of them came out.
inline bool qap_frame(const long long *values, long long *results) {
#ifdef QAP_STREAM
    hls::stream<input_t> inputs("inputs");
    hls::stream<result_t> outputs("outputs");
#else
    input_t inputs[QAP_INPUTS];
    result_t outputs[QAP_OUTPUTS];
#endif
    qap_put(inputs, values, QAP_INPUTS);
    qap2fpga(inputs, outputs);
    return qap_take(outputs, results, QAP_OUTPUTS) && qap_empty(inputs);
}

#endif
