// SPDX-License-Identifier: Apache-2.0
// The testbench that an HLS tool runs, in C simulation and in co-simulation of the RTL: the recorded vectors in, every
// output compared with the integer network's. hls4ml's own testbench writes outputs and always returns 0.

#include "firmware/qap2fpga.h"
#include "qap_frame.h"
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
        long long inputs[QAP_INPUTS], outputs[QAP_OUTPUTS];
        for (int i = 0; i < QAP_INPUTS; i++) {
            if (i > 0 && !(vectors >> value)) {
                std::cout << "ERROR: vector " << count << " is cut off" << std::endl;
                return 2;
            }
            inputs[i] = value;
        }
        if (!qap_frame(inputs, outputs)) {
            std::cout << "ERROR: vector " << count << " did not become " << QAP_OUTPUTS << " outputs" << std::endl;
            return 2;
        }
        for (int i = 0; i < QAP_OUTPUTS; i++) {
            if (!(answers >> value)) {
                std::cout << "ERROR: the answer to vector " << count << " is cut off" << std::endl;
                return 2;
            }
            if (outputs[i] != value && differ++ < 10)
                std::cout << "qap2fpga mismatch: vector " << count << ", output " << i << " is " << outputs[i]
                          << ", expected " << value << std::endl;
        }
        count++;
    }
    std::cout << "qap2fpga: " << count << " vectors, " << differ << " outputs differ" << std::endl;
    return count == 0 || differ != 0;
}
