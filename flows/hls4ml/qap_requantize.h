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
template <int BITS, int SHIFT, class x_T>
ap_int<BITS> affine(x_T x, ap_int<BITS> multiplier, ap_int<BITS> offset) {
    #pragma HLS INLINE
    const ap_int<BITS> sum = ap_int<BITS>(x) * multiplier + offset;
    return sum >> SHIFT;
}

// A constant of more than 64 bits, of which `low` has the lowest 62.
template <int BITS> ap_int<BITS> constant(long long high, long long low) {
    #pragma HLS INLINE
    return (ap_int<BITS>(high) << 62) + ap_int<BITS>(low);
}

template <class value_T> value_T clamp(value_T value, long long high) {
    #pragma HLS INLINE
    if (value < 0)
        return 0;
    return value > high ? value_T(high) : value;
}

// x * 2^SHIFT, rounded down, modulo 2^BITS.
template <int BITS, int SHIFT, class x_T> ap_int<BITS> scaled(x_T x) {
    #pragma HLS INLINE
    return SHIFT >= 0 ? ap_int<BITS>(ap_int<BITS>(x) << (SHIFT >= 0 ? SHIFT : 0))
                      : ap_int<BITS>(x >> (SHIFT >= 0 ? 0 : -SHIFT));
}

// BITS bits of x from bit FIRST on, negative x in two's complement.
template <int BITS, int FIRST, class x_T> ap_uint<BITS> segment(x_T x) {
    #pragma HLS INLINE
    return ap_uint<BITS>(x >> FIRST);
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
