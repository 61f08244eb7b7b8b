// SPDX-License-Identifier: Apache-2.0
// The steps behind a dense layer, exact on every bit: what each channel needs is generated beside this file.
// C++11, as hls4ml asks of the HLS tools.

#ifndef QAP_REQUANTIZE_H_
#define QAP_REQUANTIZE_H_

#include "ap_int.h"

namespace qap {

// How many of the 2^LEVEL_BITS - 1 ascending thresholds of `table` are not above `x`: LEVEL_BITS comparisons,
// each with a constant that is chosen by the bits found so far.
template <int LEVEL_BITS, class x_T, class table_T>
ap_uint<LEVEL_BITS> search(x_T x, const table_T table[(1 << LEVEL_BITS) - 1]) {
    #pragma HLS INLINE
    ap_uint<LEVEL_BITS> level = 0;
    for (int bit = LEVEL_BITS - 1; bit >= 0; bit--) {
        #pragma HLS UNROLL
        const ap_uint<LEVEL_BITS> tried = level | (ap_uint<LEVEL_BITS>(1) << bit);
        if (x >= table[static_cast<unsigned>(tried) - 1])
            level = tried;
    }
    return level;
}

// (multiplier * x + offset) >> SHIFT, the sum held in BITS bits.
template <int BITS, int SHIFT, class x_T> ap_int<BITS> affine(x_T x, long long multiplier, long long offset) {
    #pragma HLS INLINE
    const ap_int<BITS> sum = ap_int<BITS>(x) * ap_int<BITS>(multiplier) + ap_int<BITS>(offset);
    return sum >> SHIFT;
}

template <class value_T> value_T clamp(value_T value, long long low, long long high) {
    #pragma HLS INLINE
    if (value < low)
        return low;
    return value > high ? value_T(high) : value;
}

// The number of the largest of N values, the first of equals.
template <int N, class x_T, class res_T> void first_largest(x_T values[N], res_T result[1]) {
    #pragma HLS INLINE
    x_T best = values[0];
    res_T number = 0;
    for (int i = 1; i < N; i++) {
        #pragma HLS UNROLL
        if (values[i] > best) {
            best = values[i];
            number = i;
        }
    }
    result[0] = number;
}

} // namespace qap

#endif
