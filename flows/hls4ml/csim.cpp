// SPDX-License-Identifier: Apache-2.0
// Feeds integer vectors to the generated top function and writes what it computes, and what each of its layers did.
//
//     csim INPUTS OUTPUTS [LAYER=SIZE]...
//     csim INPUTS OUTPUTS NODE INPUTS_OF_NODE OUTPUTS_OF_NODE
//
// The second one runs one node of the network by itself, the number NODE of the project's `qap_alone.h`. INPUTS: int64 values, QAP_INPUTS a vector. OUTPUTS: for each vector QAP_OUTPUTS int64 values, then those of each
// LAYER. hls4ml's own trace gives them as doubles, which hold integers up to 53 bits.

// One translation unit: the headers are most of what there is to compile.
#include "firmware/qap2fpga.cpp"
#include "qap_frame.h"
#ifdef QAP_ALONE
#include "qap_alone.h"
#else
inline bool qap_alone(int, const long long *, long long *) { return false; }
#endif
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace nnet {
bool trace_enabled = false;
std::map<std::string, void *> *trace_outputs = NULL;
size_t trace_type_size = sizeof(double);
} // namespace nnet

// Runs the node `which` by itself on all frames of `inputs` values in `source`.
static int alone(std::FILE *source, std::FILE *target, int which, int inputs, int outputs) {
    std::vector<long long> row(inputs), results(outputs);
    while (std::fread(row.data(), sizeof(long long), row.size(), source) == row.size()) {
        if (!qap_alone(which, row.data(), results.data())) {
            std::fprintf(stderr, "error: a frame did not become %d values of node %d\n", outputs, which);
            return 1;
        }
        if (std::fwrite(results.data(), sizeof(long long), results.size(), target) != results.size()) {
            std::fprintf(stderr, "error: cannot write the results of node %d\n", which);
            return 1;
        }
    }
    return std::fclose(target) == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    std::FILE *source = std::fopen(argv[1], "rb"), *target = std::fopen(argv[2], "wb");
    if (!source || !target) {
        std::fprintf(stderr, "error: cannot open %s\n", source ? argv[2] : argv[1]);
        return 1;
    }
    if (argc == 6 && std::string(argv[3]).find('=') == std::string::npos)
        return alone(source, target, std::atoi(argv[3]), std::atoi(argv[4]), std::atoi(argv[5]));
    std::map<std::string, void *> storage;
    std::vector<std::vector<double>> traces(argc - 3);
    for (int i = 3; i < argc; i++) {
        const std::string text(argv[i]);
        const size_t cut = text.find('=');
        traces[i - 3].resize(std::atoi(text.c_str() + cut + 1));
        storage[text.substr(0, cut)] = traces[i - 3].data();
    }
    nnet::trace_outputs = &storage;
    nnet::trace_enabled = argc > 3;
    long long row[QAP_INPUTS], results[QAP_OUTPUTS];
    std::vector<long long> found;
    while (std::fread(row, sizeof row, 1, source) == 1) {
        if (!qap_frame(row, results)) {
            std::fprintf(stderr, "error: a frame did not become %d values\n", QAP_OUTPUTS);
            return 1;
        }
        found.assign(results, results + QAP_OUTPUTS);
        for (const std::vector<double> &trace : traces)
            found.insert(found.end(), trace.begin(), trace.end());
        if (std::fwrite(found.data(), sizeof(long long), found.size(), target) != found.size()) {
            std::fprintf(stderr, "error: cannot write %s\n", argv[2]);
            return 1;
        }
    }
    return std::fclose(target) == 0 ? 0 : 1;
}
