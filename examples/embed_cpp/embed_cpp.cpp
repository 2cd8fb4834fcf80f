// A model with its weights inside, called from C++: scorer.so is made by CMake from scorer.attn and a safetensors file.
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>
#include "scorer.h"

// The header is C: what throws and what frees by itself is ours to say.
class Scorer {
public:
    Scorer() {
        scorer *opened = nullptr;
        scorer_error error;
        if (scorer_open(nullptr, nullptr, &opened, &error) != SCORER_OK) throw std::runtime_error(error.message);
        handle.reset(opened);
    }

    std::vector<float> operator()(const std::vector<float> &x, std::int64_t features) const {
        std::vector<float> y(x.size() / static_cast<std::size_t>(features));
        scorer_score_args args = SCORER_SCORE_ARGS_INIT;
        scorer_error error;
        args.N = static_cast<std::int64_t>(y.size());
        args.F = features;
        args.x = x.data();
        args.y = y.data();
        if (scorer_score(handle.get(), &args, &error) != SCORER_OK) throw std::runtime_error(error.message);
        return y;
    }

private:
    struct Close {
        void operator()(scorer *s) const { scorer_close(s); }
    };
    std::unique_ptr<scorer, Close> handle;
};

int main() try {
    const Scorer score;
    const std::vector<float> x = {1, 0, 0, 1, 2, 2};
    std::vector<float> first, second;
    std::thread other([&] { second = score(x, 2); });    // one handle, two threads at a time
    first = score(x, 2);
    other.join();
    for (float y : first) std::printf("%g\n", static_cast<double>(y));
    if (first != second) throw std::runtime_error("the threads disagree");
    score({1, 2, 3}, 3);                                  // three features: the weights have two
} catch (const std::runtime_error &error) {
    std::printf("%s\n", error.what());
}
