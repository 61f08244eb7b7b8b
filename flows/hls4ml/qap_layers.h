// SPDX-License-Identifier: Apache-2.0
// Layers of a network of frames that hls4ml lacks or computes otherwise, exact on every bit: what is done at each
// position, pads of any value, the largest of a window, repetition. Each stands twice: over a flat array, channels
// last, and over a stream with one packet per position. C++11, as hls4ml asks of the HLS tools.

#ifndef QAP_LAYERS_H_
#define QAP_LAYERS_H_

#include "ap_int.h"
#include "hls_stream.h"

namespace qap {

// CODE::apply at every position, from IN channels to OUT.
template <class CODE, class data_T, class res_T, int POSITIONS, int IN, int OUT>
void each(data_T data[POSITIONS * IN], res_T res[POSITIONS * OUT]) {
    for (int p = 0; p < POSITIONS; p++) {
        #pragma HLS PIPELINE II=1
        data_T x[IN];
        res_T y[OUT];
        #pragma HLS ARRAY_PARTITION variable=x complete
        #pragma HLS ARRAY_PARTITION variable=y complete
        for (int c = 0; c < IN; c++) {
            #pragma HLS UNROLL
            x[c] = data[p * IN + c];
        }
        CODE::template apply<data_T, res_T>(x, y);
        for (int c = 0; c < OUT; c++) {
            #pragma HLS UNROLL
            res[p * OUT + c] = y[c];
        }
    }
}

template <class CODE, class data_T, class res_T, int POSITIONS, int IN, int OUT>
void each(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    for (int p = 0; p < POSITIONS; p++) {
        #pragma HLS PIPELINE II=1
        const data_T packet = data.read();
        res_T result;
        typename data_T::value_type x[IN];
        typename res_T::value_type y[OUT];
        #pragma HLS ARRAY_PARTITION variable=x complete
        #pragma HLS ARRAY_PARTITION variable=y complete
        for (int c = 0; c < IN; c++) {
            #pragma HLS UNROLL
            x[c] = packet[c];
        }
        CODE::template apply<typename data_T::value_type, typename res_T::value_type>(x, y);
        for (int c = 0; c < OUT; c++) {
            #pragma HLS UNROLL
            result[c] = y[c];
        }
        res.write(result);
    }
}

// CODE::apply at every position, from channels of two sources to OUT.
template <class CODE, class one_T, class two_T, class res_T, int POSITIONS, int ONE, int TWO, int OUT>
void both(one_T one[POSITIONS * ONE], two_T two[POSITIONS * TWO], res_T res[POSITIONS * OUT]) {
    for (int p = 0; p < POSITIONS; p++) {
        #pragma HLS PIPELINE II=1
        one_T a[ONE];
        two_T b[TWO];
        res_T y[OUT];
        #pragma HLS ARRAY_PARTITION variable=a complete
        #pragma HLS ARRAY_PARTITION variable=b complete
        #pragma HLS ARRAY_PARTITION variable=y complete
        for (int c = 0; c < ONE; c++) {
            #pragma HLS UNROLL
            a[c] = one[p * ONE + c];
        }
        for (int c = 0; c < TWO; c++) {
            #pragma HLS UNROLL
            b[c] = two[p * TWO + c];
        }
        CODE::apply(a, b, y);
        for (int c = 0; c < OUT; c++) {
            #pragma HLS UNROLL
            res[p * OUT + c] = y[c];
        }
    }
}

template <class CODE, class one_T, class two_T, class res_T, int POSITIONS, int ONE, int TWO, int OUT>
void both(hls::stream<one_T> &one, hls::stream<two_T> &two, hls::stream<res_T> &res) {
    for (int p = 0; p < POSITIONS; p++) {
        #pragma HLS PIPELINE II=1
        const one_T first = one.read();
        const two_T second = two.read();
        res_T result;
        typename one_T::value_type a[ONE];
        typename two_T::value_type b[TWO];
        typename res_T::value_type y[OUT];
        #pragma HLS ARRAY_PARTITION variable=a complete
        #pragma HLS ARRAY_PARTITION variable=b complete
        #pragma HLS ARRAY_PARTITION variable=y complete
        for (int c = 0; c < ONE; c++) {
            #pragma HLS UNROLL
            a[c] = first[c];
        }
        for (int c = 0; c < TWO; c++) {
            #pragma HLS UNROLL
            b[c] = second[c];
        }
        CODE::apply(a, b, y);
        for (int c = 0; c < OUT; c++) {
            #pragma HLS UNROLL
            result[c] = y[c];
        }
        res.write(result);
    }
}

// FIRST * a + SECOND * b, channel by channel.
template <long long FIRST, long long SECOND, int CHANNELS> struct weighted_sum {
    template <class one_T, class two_T, class res_T>
    static void apply(one_T a[CHANNELS], two_T b[CHANNELS], res_T y[CHANNELS]) {
        #pragma HLS INLINE
        for (int c = 0; c < CHANNELS; c++) {
            #pragma HLS UNROLL
            y[c] = FIRST * a[c] + SECOND * b[c];
        }
    }
};

// FACTOR * x, channel by channel.
template <long long FACTOR, int CHANNELS> struct multiple {
    template <class data_T, class res_T> static void apply(data_T x[CHANNELS], res_T y[CHANNELS]) {
        #pragma HLS INLINE
        for (int c = 0; c < CHANNELS; c++) {
            #pragma HLS UNROLL
            y[c] = FACTOR * x[c];
        }
    }
};

// The channels of both, one after the other.
template <int ONE, int TWO> struct side_by_side {
    template <class one_T, class two_T, class res_T>
    static void apply(one_T a[ONE], two_T b[TWO], res_T y[ONE + TWO]) {
        #pragma HLS INLINE
        for (int c = 0; c < ONE; c++) {
            #pragma HLS UNROLL
            y[c] = a[c];
        }
        for (int c = 0; c < TWO; c++) {
            #pragma HLS UNROLL
            y[ONE + c] = b[c];
        }
    }
};

// HEIGHT x WIDTH positions with VALUE in every channel beyond the borders.
template <class data_T, class res_T, int HEIGHT, int WIDTH, int CHANNELS, int TOP, int LEFT, int BOTTOM, int RIGHT,
          long long VALUE>
void pad(data_T data[HEIGHT * WIDTH * CHANNELS],
         res_T res[(TOP + HEIGHT + BOTTOM) * (LEFT + WIDTH + RIGHT) * CHANNELS]) {
    for (int y = 0; y < TOP + HEIGHT + BOTTOM; y++) {
        for (int x = 0; x < LEFT + WIDTH + RIGHT; x++) {
            #pragma HLS PIPELINE II=1
            const bool inside = y >= TOP && y < TOP + HEIGHT && x >= LEFT && x < LEFT + WIDTH;
            for (int c = 0; c < CHANNELS; c++) {
                #pragma HLS UNROLL
                res_T value = VALUE;
                if (inside)
                    value = data[((y - TOP) * WIDTH + x - LEFT) * CHANNELS + c];
                res[(y * (LEFT + WIDTH + RIGHT) + x) * CHANNELS + c] = value;
            }
        }
    }
}

template <class data_T, class res_T, int HEIGHT, int WIDTH, int CHANNELS, int TOP, int LEFT, int BOTTOM, int RIGHT,
          long long VALUE>
void pad(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    for (int y = 0; y < TOP + HEIGHT + BOTTOM; y++) {
        for (int x = 0; x < LEFT + WIDTH + RIGHT; x++) {
            #pragma HLS PIPELINE II=1
            res_T result;
            for (int c = 0; c < CHANNELS; c++) {
                #pragma HLS UNROLL
                result[c] = VALUE;
            }
            if (y >= TOP && y < TOP + HEIGHT && x >= LEFT && x < LEFT + WIDTH) {
                const data_T packet = data.read();
                for (int c = 0; c < CHANNELS; c++) {
                    #pragma HLS UNROLL
                    result[c] = packet[c];
                }
            }
            res.write(result);
        }
    }
}

// Every row ROWS times and every column COLUMNS times.
template <class data_T, class res_T, int HEIGHT, int WIDTH, int CHANNELS, int ROWS, int COLUMNS>
void repeat(data_T data[HEIGHT * WIDTH * CHANNELS], res_T res[HEIGHT * ROWS * WIDTH * COLUMNS * CHANNELS]) {
    for (int y = 0; y < HEIGHT * ROWS; y++) {
        for (int x = 0; x < WIDTH * COLUMNS; x++) {
            #pragma HLS PIPELINE II=1
            for (int c = 0; c < CHANNELS; c++) {
                #pragma HLS UNROLL
                res[(y * WIDTH * COLUMNS + x) * CHANNELS + c] = data[((y / ROWS) * WIDTH + x / COLUMNS) * CHANNELS + c];
            }
        }
    }
}

template <class data_T, class res_T, int HEIGHT, int WIDTH, int CHANNELS, int ROWS, int COLUMNS>
void repeat(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    data_T row[WIDTH];
    for (int y = 0; y < HEIGHT; y++) {
        for (int again = 0; again < ROWS; again++) {
            for (int x = 0; x < WIDTH; x++) {
                for (int twice = 0; twice < COLUMNS; twice++) {
                    #pragma HLS PIPELINE II=1
                    if (again == 0 && twice == 0)
                        row[x] = data.read();
                    const data_T packet = row[x];
                    res_T result;
                    for (int c = 0; c < CHANNELS; c++) {
                        #pragma HLS UNROLL
                        result[c] = packet[c];
                    }
                    res.write(result);
                }
            }
        }
    }
}

// The largest value that a kernel of K_H x K_W taps, D_H and D_W apart, sees at each place S_H and S_W apart.
template <class data_T, class res_T, int HEIGHT, int WIDTH, int CHANNELS, int K_H, int K_W, int S_H, int S_W, int D_H,
          int D_W>
void largest(data_T data[HEIGHT * WIDTH * CHANNELS],
             res_T res[((HEIGHT - (K_H - 1) * D_H - 1) / S_H + 1) * ((WIDTH - (K_W - 1) * D_W - 1) / S_W + 1) *
                       CHANNELS]) {
    const int rows = (HEIGHT - (K_H - 1) * D_H - 1) / S_H + 1, columns = (WIDTH - (K_W - 1) * D_W - 1) / S_W + 1;
    for (int y = 0; y < rows; y++) {
        for (int x = 0; x < columns; x++) {
            #pragma HLS PIPELINE II=1
            for (int c = 0; c < CHANNELS; c++) {
                #pragma HLS UNROLL
                data_T best = data[(y * S_H * WIDTH + x * S_W) * CHANNELS + c];
                for (int tap = 1; tap < K_H * K_W; tap++) {
                    #pragma HLS UNROLL
                    const int row = y * S_H + tap / K_W * D_H, column = x * S_W + tap % K_W * D_W;
                    const data_T value = data[(row * WIDTH + column) * CHANNELS + c];
                    if (value > best)
                        best = value;
                }
                res[(y * columns + x) * CHANNELS + c] = best;
            }
        }
    }
}

template <class data_T, class res_T, int HEIGHT, int WIDTH, int CHANNELS, int K_H, int K_W, int S_H, int S_W, int D_H,
          int D_W>
void largest(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    const int high = (K_H - 1) * D_H + 1, wide = (K_W - 1) * D_W + 1;
    typedef typename data_T::value_type value_T;
    // The rows before the current one, newest last, and the window that ends at the current position.
    value_T lines[high][WIDTH][CHANNELS], window[high][wide][CHANNELS];
    #pragma HLS ARRAY_PARTITION variable=lines complete dim=1
    #pragma HLS ARRAY_PARTITION variable=lines complete dim=3
    #pragma HLS ARRAY_PARTITION variable=window complete
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            #pragma HLS PIPELINE II=1
            const data_T packet = data.read();
            res_T result;
            for (int c = 0; c < CHANNELS; c++) {
                #pragma HLS UNROLL
                for (int row = 0; row < high; row++) {
                    #pragma HLS UNROLL
                    const value_T entering = row == high - 1 ? value_T(packet[c]) : lines[row + 1 < high ? row + 1 : 0][x][c];
                    for (int column = 0; column + 1 < wide; column++) {
                        #pragma HLS UNROLL
                        window[row][column][c] = window[row][column + 1][c];
                    }
                    window[row][wide - 1][c] = entering;
                    lines[row][x][c] = entering;
                }
                value_T best = window[0][0][c];
                for (int tap = 1; tap < K_H * K_W; tap++) {
                    #pragma HLS UNROLL
                    const value_T value = window[tap / K_W * D_H][tap % K_W * D_W][c];
                    if (value > best)
                        best = value;
                }
                result[c] = best;
            }
            const int top = y - high + 1, left = x - wide + 1;
            if (top >= 0 && left >= 0 && top % S_H == 0 && left % S_W == 0)
                res.write(result);
        }
    }
}

} // namespace qap

#endif
