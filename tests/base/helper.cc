#include "base/helper.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include <gtest/gtest.h>

#include "base/process.h"

namespace vmette {
namespace {

int list_descriptors() {
    DIR* folder = ::opendir("/proc/self/fd");
    if (folder == nullptr) return 1;
    std::vector<int> numbers;
    while (const dirent* entry = ::readdir(folder))
        if (entry->d_name[0] != '.') numbers.push_back(std::atoi(entry->d_name));
    std::erase(numbers, ::dirfd(folder));
    std::ranges::sort(numbers);
    std::string lines;
    for (int number : numbers) lines += std::to_string(number) + "\n";
    ::closedir(folder);
    return write_all(1, lines) ? 0 : 1;
}

int name_standard_streams() {
    std::string lines;
    for (int number : {0, 1, 2})
        lines += std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(number)).string() + "\n";
    return write_all(5, lines) ? 0 : 1;
}

int be_parent() {
    ProcessSpec spec;
    spec.argv = {"sleep", "1000"};
    auto child = spawn(spec);
    if (!child || !write_all(1, std::to_string(child->pid()) + "\n")) return 1;
    while (true) ::pause();
}

}  // namespace

int run_helper(const std::vector<std::string>& arguments) {
    const std::string& mode = arguments.at(0);
    if (mode == "descriptors") return list_descriptors();
    if (mode == "standard-streams") return name_standard_streams();
    if (mode == "parent") return be_parent();
    return 2;
}

std::vector<std::string> helper(std::string mode) { return {"/proc/self/exe", "--helper", std::move(mode)}; }

}  // namespace vmette

int main(int argc, char** argv) {
    if (argc > 2 && std::string(argv[1]) == "--helper")
        return vmette::run_helper(std::vector<std::string>(argv + 2, argv + argc));
    ::testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
