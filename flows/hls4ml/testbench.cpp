// SPDX-License-Identifier: Apache-2.0
// The testbench that an HLS tool runs, in C simulation and in co-simulation of the RTL: the recorded vectors in, every
// output compared with the integer network's. hls4ml's own testbench writes outputs and always returns 0.

#include "firmware/qap2fpga.h"
#include <fstream>
#include <iostream>
#include <map>
#include <string>

namespace nnet {
bool trace_enabled = false;
std::map<std::string, void *> *trace_outputs = NULL;
size_t trace_type_size = sizeof(double);
} // namespace nnet

int main() {
    std::ifstream vectors("tb_data/tb_input_features.dat"), answers("tb_data/tb_output_predictions.dat");
    if (!vectors || !answers) {
        std::cout << "ERROR: cannot open the vectors in tb_data" << std::endl;
        return 2;
    }
    long long count = 0, differ = 0, value;
    while (vectors >> value) {
        input_t inputs[QAP_INPUTS];
        result_t outputs[QAP_OUTPUTS];
        for (int i = 0; i < QAP_INPUTS; i++) {
            if (i > 0 && !(vectors >> value)) {
                std::cout << "ERROR: vector " << count << " is cut off" << std::endl;
                return 2;
            }
            inputs[i] = value;
        }
        qap2fpga(inputs, outputs);
        for (int i = 0; i < QAP_OUTPUTS; i++) {
            if (!(answers >> value)) {
                std::cout << "ERROR: the answer to vector " << count << " is cut off" << std::endl;
                return 2;
            }
            const long long found = outputs[i].to_int64();
            if (found != value && differ++ < 10)
                std::cout << "qap2fpga mismatch: vector " << count << ", output " << i << " is " << found
                          << ", expected " << value << std::endl;
        }
        count++;
    }
    std::cout << "qap2fpga: " << count << " vectors, " << differ << " outputs differ" << std::endl;
    return count == 0 || differ != 0;
}
