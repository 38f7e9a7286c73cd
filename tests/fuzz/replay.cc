/// Drives a fuzz target without libFuzzer: every file of its corpus, and a number of mutations of them that is the same
/// at each run. usage: NAME_fuzz MUTATIONS FOLDER…  An input that crashes it is left in ./NAME_fuzz.crash.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;

constexpr std::size_t kLongestInput = 64 << 10;
constexpr unsigned kSecondsPerInput = 20;

// What the signal handler needs; a handler has no other way to get at it.
const Input* current = nullptr;
std::string crash_file;

extern "C" void keep_input(int number) {
    int fd = ::open(crash_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0 && current != nullptr) {
        [[maybe_unused]] auto written = ::write(fd, current->data(), current->size());
        constexpr std::string_view kMessage = "the input that did it is in ";
        written = ::write(2, kMessage.data(), kMessage.size());
        written = ::write(2, crash_file.data(), crash_file.size());
        written = ::write(2, "\n", 1);
    }
    std::signal(number, SIG_DFL);
    std::raise(number);
}

void run(const Input& input) {
    current = &input;
    ::alarm(kSecondsPerInput);
    LLVMFuzzerTestOneInput(input.data(), input.size());
    ::alarm(0);
    current = nullptr;
}

std::vector<Input> load(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> files;
    std::error_code missing;
    for (const auto& entry : std::filesystem::directory_iterator(folder, missing))
        if (entry.is_regular_file()) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    std::vector<Input> inputs;
    for (const auto& file : files) {
        std::ifstream stream(file, std::ios::binary);
        inputs.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
    }
    return inputs;
}

class Mutator {
public:
    explicit Mutator(std::vector<Input> corpus) : corpus_(std::move(corpus)), recent_(kRecent) {}

    const Input& next() {
        // Half of them go on from an earlier one, so that changes add up.
        Input input = below(2) == 0 ? pick(corpus_) : pick(recent_);
        for (std::size_t steps = 1 + below(6); steps > 0; --steps) step(input);
        if (input.size() > kLongestInput) input.resize(kLongestInput);
        return recent_[at_++ % kRecent] = std::move(input);
    }

private:
    static constexpr std::size_t kRecent = 64;

    void step(Input& input) {
        switch (below(7)) {
            case 0:
                return flip_bit(input);
            case 1:
                return set_byte(input);
            case 2:
                return insert(input, Input(1 + below(8), byte()));
            case 3:
                return erase(input);
            case 4:
                return insert(input, part_of(input));
            case 5:
                return insert(input, part_of(pick(corpus_)));
            default:
                input.resize(below(input.size() + 1));
        }
    }
    void flip_bit(Input& input) {
        if (!input.empty()) input[below(input.size())] ^= static_cast<std::uint8_t>(1u << below(8));
    }
    void set_byte(Input& input) {
        // Lengths, signs and text meet their limits at these.
        constexpr std::array<std::uint8_t, 12> kEdges{0, 1, 0x7F, 0x80, 0xFF, '\n', '"', '[', '/', '.', '0', '-'};
        if (!input.empty()) input[below(input.size())] = below(2) == 0 ? kEdges[below(kEdges.size())] : byte();
    }
    void insert(Input& input, const Input& what) {
        auto at = input.begin() + static_cast<std::ptrdiff_t>(below(input.size() + 1));
        input.insert(at, what.begin(), what.end());
    }
    void erase(Input& input) {
        std::size_t from = below(input.size() + 1), count = below(std::min<std::size_t>(input.size() - from, 64) + 1);
        auto first = input.begin() + static_cast<std::ptrdiff_t>(from);
        input.erase(first, first + static_cast<std::ptrdiff_t>(count));
    }
    Input part_of(const Input& input) {
        std::size_t from = below(input.size() + 1), count = below(std::min<std::size_t>(input.size() - from, 512) + 1);
        auto first = input.begin() + static_cast<std::ptrdiff_t>(from);
        return Input(first, first + static_cast<std::ptrdiff_t>(count));
    }
    const Input& pick(const std::vector<Input>& inputs) { return inputs[below(inputs.size())]; }
    std::size_t below(std::size_t limit) { return static_cast<std::size_t>(random_() % limit); }
    std::uint8_t byte() { return static_cast<std::uint8_t>(random_()); }

    std::vector<Input> corpus_, recent_;
    std::size_t at_ = 0;
    std::mt19937_64 random_{1};
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s MUTATIONS FOLDER...\n", argv[0]);
        return 2;
    }
    crash_file = std::filesystem::path(argv[0]).filename().string() + ".crash";
    for (int number : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGALRM}) std::signal(number, keep_input);
    std::vector<Input> corpus{Input{}};
    for (int i = 2; i < argc; ++i)
        for (auto& input : load(argv[i])) corpus.push_back(std::move(input));
    for (const auto& input : corpus) run(input);
    long mutations = std::atol(argv[1]);
    std::printf("%zu inputs of the corpus, %ld mutations\n", corpus.size(), mutations);
    Mutator mutator(std::move(corpus));
    for (long i = 0; i < mutations; ++i) run(mutator.next());
}
