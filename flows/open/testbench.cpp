// SPDX-License-Identifier: Apache-2.0
// Drives one AXI-stream design (module `harness`, written from its instantiation template) and records it.
//
// Arguments are key=value; see `Options`. The input file holds frames * in_beats beats, the output file gets
// one beat for each that the design delivered after the last reset; a beat is TDATA in whole 32-bit words,
// lowest first. Standard output is `key value` lines; what they mean is documented in qap2fpga/verify/rtl.py.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "Vharness.h"
#include "verilated.h"

namespace {

constexpr int RESET_CYCLES = 32;  // AXI asks for 16 at least
constexpr int SETTLE_CYCLES = 4;  // idle cycles after the reset

struct Options {
    std::map<std::string, std::string> given;
    Options(int count, char** values) {
        for (int i = 1; i < count; ++i) {
            const char* equals = std::strchr(values[i], '=');
            if (equals) given[std::string(values[i], static_cast<size_t>(equals - values[i]))] = equals + 1;
        }
    }
    const std::string& text(const char* key) const {
        const auto found = given.find(key);
        if (found == given.end()) {
            std::fprintf(stderr, "error: argument %s is missing\n", key);
            std::exit(3);
        }
        return found->second;
    }
    uint64_t number(const char* key) const { return std::strtoull(text(key).c_str(), nullptr, 10); }
};

struct Random {
    uint64_t state;
    explicit Random(uint64_t seed) : state(seed * 0x9E3779B97F4A7C15ull + 0xD1B54A32D192ED03ull) {}
    uint32_t next() {  // xorshift64*
        state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
        return static_cast<uint32_t>((state * 0x2545F4914F6CDD1Dull) >> 32);
    }
};

// Whether a side may go on in this cycle: with chance `go` / 256, decided anew every `stretch` cycles.
struct Gate {
    Random random;
    uint32_t go, stretch;
    uint64_t left = 0;
    bool open = true;
    Gate(uint64_t seed, uint64_t go_, uint64_t stretch_)
        : random(seed), go(static_cast<uint32_t>(go_)), stretch(static_cast<uint32_t>(stretch_)) {}
    bool step() {
        if (go >= 256) return true;
        if (left == 0) {
            open = (random.next() & 255u) < go;
            left = 1 + random.next() % stretch;
        }
        --left;
        return open;
    }
};

using Words = std::vector<uint32_t>;

std::vector<uint32_t> read_words(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (!file) {
        std::fprintf(stderr, "error: cannot read %s\n", path.c_str());
        std::exit(3);
    }
    std::fseek(file, 0, SEEK_END);
    Words words(static_cast<size_t>(std::ftell(file)) / 4);
    std::rewind(file);
    const size_t read = std::fread(words.data(), 4, words.size(), file);
    std::fclose(file);
    if (read != words.size()) std::exit(3);
    return words;
}

}  // namespace

int main(int count, char** values) {
    const Options options(count, values);
    const uint64_t frames = options.number("frames"), in_beats = options.number("in_beats"),
                   out_beats = options.number("out_beats"), in_words = options.number("in_words"),
                   out_words = options.number("out_words"), idle_limit = options.number("idle_limit"),
                   reset_after = options.number("reset_after"), extra_cycles = options.number("extra_cycles");
    const bool single = options.number("single") != 0, shy = options.number("shy") != 0;
    Gate in_gate(options.number("seed") * 2 + 1, options.number("in_go"), options.number("stretch"));
    Gate out_gate(options.number("seed") * 2 + 2, options.number("out_go"), options.number("stretch"));

    auto context = std::make_unique<VerilatedContext>();
    context->commandArgs(count, values);
    auto top = std::make_unique<Vharness>(context.get());
    if (sizeof(top->in_data) < in_words * 4 || sizeof(top->out_data) < out_words * 4) {
        std::fprintf(stderr, "error: the harness is narrower than the beats\n");
        return 3;
    }
    const Words input = read_words(options.text("input"));
    if (input.size() < frames * in_beats * in_words) {
        std::fprintf(stderr, "error: the input file is short\n");
        return 3;
    }
    Words output;
    output.reserve(frames * out_beats * out_words);
    std::vector<uint64_t> started(frames), ended(frames), full_at_end(frames);

    uint64_t cycle = 0;
    auto rise = [&] {
        top->clock = 1;
        top->eval();
        context->timeInc(1);
        top->clock = 0;
        top->eval();
        context->timeInc(1);
        ++cycle;
    };
    uint64_t valid_in_reset = 0;
    auto reset = [&] {
        top->reset_n = 0;
        top->in_valid = 0;
        top->out_ready = 0;
        top->eval();
        for (int i = 0; i < RESET_CYCLES; ++i) rise();
        valid_in_reset += top->out_valid;
        top->reset_n = 1;
        top->eval();
        for (int i = 0; i < SETTLE_CYCLES; ++i) rise();
    };
    top->clock = 0;
    reset();

    // The first broken rule: 0 none, 1 TVALID dropped while stalled, 2 TDATA changed while stalled,
    // 3 TVALID depends on TREADY in the same cycle.
    int broken = 0;
    uint64_t broken_cycle = 0, broken_beat = 0;
    auto report = [&](int rule, uint64_t beat) {
        if (!broken) broken = rule, broken_cycle = cycle, broken_beat = beat;
    };

    const uint64_t all_in = frames * in_beats, all_out = frames * out_beats;
    uint64_t sent = 0, got = 0, extra = 0, idle = 0, after = 0, accepted = 0;
    bool offered = false, stalled = false, was_reset = reset_after == 0;
    Words held(out_words);
    // Beats are drained for `extra_cycles` after the last expected one, to see any that should not come.
    while (got < all_out || after < extra_cycles) {
        const bool done = got >= all_out;
        if (!was_reset && accepted >= reset_after) {
            reset();
            was_reset = true, sent = got = idle = 0, offered = stalled = false;
            output.clear();
        }
        const bool wait = single && sent % in_beats == 0 && sent / in_beats > got / out_beats;
        const bool may_send = in_gate.step(), may_take = out_gate.step();
        // A master keeps TVALID until the beat is taken, whatever the gate says.
        offered = sent < all_in && (offered || (may_send && !wait));
        top->in_valid = offered;
        if (sent < all_in) std::memcpy(&top->in_data[0], &input[sent * in_words], in_words * 4);
        top->out_ready = 0;
        top->eval();
        const bool valid = top->out_valid;
        const bool ready = done || (may_take && (!shy || valid));
        if (ready) {
            top->out_ready = 1;
            top->eval();
            if (static_cast<bool>(top->out_valid) != valid) report(3, got);
        }
        const uint32_t* data = &top->out_data[0];
        const bool now_valid = top->out_valid;
        if (stalled && !now_valid) report(1, got);
        if (stalled && now_valid && std::memcmp(held.data(), data, out_words * 4) != 0) report(2, got);
        const bool in_fired = offered && top->in_ready, out_fired = now_valid && ready;
        stalled = now_valid && !ready;
        if (stalled) std::memcpy(held.data(), data, out_words * 4);
        if (in_fired) {
            if (sent % in_beats == 0) started[sent / in_beats] = cycle;
            ++sent, ++accepted;
            offered = false;
        }
        if (out_fired) {
            if (done) {
                ++extra;
            } else {
                output.insert(output.end(), data, data + out_words);
                if (++got % out_beats == 0) {
                    ended[got / out_beats - 1] = cycle;
                    full_at_end[got / out_beats - 1] = (sent + in_beats - 1) / in_beats;
                }
            }
        }
        if (done) ++after;
        idle = in_fired || out_fired ? 0 : idle + 1;
        if (!done && idle > idle_limit) break;
        rise();
        if (context->gotFinish()) {
            std::printf("finished_early 1\n");
            break;
        }
    }
    top->final();

    std::FILE* file = std::fopen(options.text("output").c_str(), "wb");
    if (!file || std::fwrite(output.data(), 4, output.size(), file) != output.size() || std::fclose(file)) {
        std::fprintf(stderr, "error: cannot write %s\n", options.text("output").c_str());
        return 3;
    }
    const uint64_t complete = got / out_beats;
    std::printf("cycles %llu\nsent %llu\ngot %llu\nextra %llu\nvalid_in_reset %llu\n",
                (unsigned long long)cycle, (unsigned long long)sent, (unsigned long long)got,
                (unsigned long long)extra, (unsigned long long)valid_in_reset);
    std::printf("broken %d\nbroken_cycle %llu\nbroken_beat %llu\n", broken, (unsigned long long)broken_cycle,
                (unsigned long long)broken_beat);
    if (complete > 0) {
        uint64_t shortest = UINT64_MAX, longest = 0;
        for (uint64_t i = 0; i < complete; ++i) {
            const uint64_t latency = ended[i] - started[i] + 1;
            if (latency < shortest) shortest = latency;
            if (latency > longest) longest = latency;
        }
        std::printf("latency_shortest %llu\nlatency_longest %llu\n", (unsigned long long)shortest,
                    (unsigned long long)longest);
        // Steady state: from the first frame that entered a full pipeline, and the second half at least.
        uint64_t from = full_at_end[0] > complete / 2 ? full_at_end[0] : complete / 2;
        if (from + 1 < complete)
            std::printf("interval_cycles %llu\ninterval_frames %llu\n",
                        (unsigned long long)(ended[complete - 1] - ended[from]),
                        (unsigned long long)(complete - 1 - from));
    }
    return 0;
}
