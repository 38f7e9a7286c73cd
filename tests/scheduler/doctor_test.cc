#include <cerrno>

#include <gmock/gmock.h>

#include "scheduler/host.h"

namespace vmette::scheduler {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(DoctorTest, AdviceOnKvmFitsWhatIsLacking) {
    EXPECT_THAT(kvm_advice(0), AllOf(HasSubstr("boots no guest"), HasSubstr("tcg"), Not(HasSubstr("group"))));
    EXPECT_EQ(kvm_advice(EACCES), "join the group kvm");
    EXPECT_THAT(kvm_advice(ENOENT), AllOf(HasSubstr("firmware"), Not(HasSubstr("group"))));
}

}  // namespace
}  // namespace vmette::scheduler
