#include "rootfs/oci/credential_helper.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/process.h"
#include "base/text.h"
#include "rootfs/oci/bounded_json.h"

namespace vmette::rootfs::oci {
namespace {

constexpr std::size_t kMaxAnswer = 64 * kKiB;
constexpr std::size_t kMaxName = 64;
constexpr std::string_view kNotFound = "credentials not found in native keychain";
/// As user name it says that the secret is an identity token.
constexpr std::string_view kTokenUser = "<token>";

/// The name becomes part of a program's: it must not lead into another folder.
bool is_plain_name(std::string_view name) {
    auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
    return !name.empty() && name.size() <= kMaxName && letter(name.front()) &&
           std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || c == '-' || c == '_' || c == '.'; });
}

Result<Credentials> read_answer(const std::string& program, const std::string& answer) {
    auto document = parse_json_object(answer, {kMaxAnswer}, ErrorCode::bad_input);
    if (!document)
        return fail(ErrorCode::bad_input, "the credential helper {} answered what {}", program,
                    document.error().message);
    JsonReader reader(ErrorCode::bad_input);
    std::string user = reader.string(*document, "Username", "");
    std::string secret = reader.string(*document, "Secret", "");
    if (!reader.good())
        return fail(ErrorCode::bad_input, "the credential helper {} gave an answer whose {}", program,
                    reader.result().error().message);
    Credentials out;
    if (user == kTokenUser) {
        out.identity_token = std::move(secret);
    } else {
        out.user = std::move(user);
        out.password = std::move(secret);
    }
    return out;
}

}  // namespace

Result<Credentials> ask_helper(const std::string& name, const std::string& server, Duration limit) {
    if (!is_plain_name(name))
        return fail(ErrorCode::bad_input, "\"{}\" is no name of a credential helper", harmless_line(name, kMaxName));
    std::string program = "docker-credential-" + name;
    if (!find_program(program)) return fail(ErrorCode::bad_input, "the credential helper {} is not on PATH", program);
    VMETTE_TRY(auto input, make_pipe());
    // It fits into the pipe: a server is at most a host and a repository.
    VMETTE_CHECK_OK(write_all(input[1].get(), server));
    input[1].reset();
    ProcessSpec spec;
    spec.argv = {program, "get"};
    spec.descriptors = {{input[0].get(), 0}};
    auto said = run_captured(spec, limit, kMaxAnswer + 1);
    if (!said && said.error().code == ErrorCode::timeout)
        return fail(ErrorCode::bad_input, "the credential helper {} did not answer within {}", program,
                    format_duration(limit));
    if (!said) return Failure(said.error());
    if (said->out.size() > kMaxAnswer)
        return fail(ErrorCode::bad_input, "the credential helper {} answered with more than {} bytes", program,
                    kMaxAnswer);
    if (said->ok()) return read_answer(program, said->out);
    if (said->out.starts_with(kNotFound)) return Credentials{};
    return fail(ErrorCode::bad_input, "the credential helper {} {}", program, describe_status(said->status));
}

}  // namespace vmette::rootfs::oci
