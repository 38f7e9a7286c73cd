# One library a folder. A folder sees only what it links, so the layers are kept by the linker.

# A struct of defaults is made by naming what differs, so fields that are not named are no mistake. Warnings are errors
# with the compiler that the releases are built with; another one's (clang, for fuzzing) are about its headers as well.
add_library(vmette_flags INTERFACE)
target_compile_options(vmette_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wcast-qual -Woverloaded-virtual
  -Wimplicit-fallthrough -Wvla -Wno-missing-field-initializers $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Werror>
  -fno-omit-frame-pointer -fstack-protector-strong)
target_compile_definitions(vmette_flags INTERFACE
  _GNU_SOURCE VMETTE_VERSION="${PROJECT_VERSION}" $<$<CONFIG:RelWithDebInfo,Release>:_FORTIFY_SOURCE=2>)
# With the sanitizers, which a static program (vmette_flags alone) cannot have.
add_library(vmette_options INTERFACE)
target_link_libraries(vmette_options INTERFACE vmette_flags)
if(VMETTE_SANITIZE)
  target_compile_options(vmette_options INTERFACE -fsanitize=${VMETTE_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(vmette_options INTERFACE -fsanitize=${VMETTE_SANITIZE})
  # With the checks between, GCC does not see that a variant's other half is not read (gcc.gnu.org/PR105562).
  target_compile_options(vmette_options INTERFACE -Wno-maybe-uninitialized)
  if(VMETTE_SANITIZE MATCHES thread)
    # Asio's fences are unknown to TSan. They order what several threads of one io_context do; here each has one thread.
    target_compile_options(vmette_options INTERFACE -Wno-tsan)
  endif()
endif()

# vmette_library(NAME SOURCES… [LINK PUBLIC x PRIVATE y]): the library vmette_NAME of this folder.
function(vmette_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(vmette_${name} STATIC ${ARG_SOURCES})
  target_include_directories(vmette_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(vmette_${name} PUBLIC ${ARG_PUBLIC} PRIVATE vmette_options ${ARG_PRIVATE})
endfunction()

# vmette_test(NAME LABEL SOURCES… [LINK …] [TIMEOUT s]): one GoogleTest program, its cases found by CTest.
# Labels: unit (no process, no network), process (helpers, loopback), vm (boots real guests).
function(vmette_test name label)
  cmake_parse_arguments(ARG "SERIAL" "TIMEOUT" "SOURCES;LINK" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE vmette_options ${ARG_LINK} GTest::gtest GTest::gmock GTest::gtest_main)
  include(GoogleTest)
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS ${label} TIMEOUT ${ARG_TIMEOUT} RUN_SERIAL ${ARG_SERIAL})
  # Not among the PROPERTIES above: they lose all of a list but its first element.
  set(environment ${CMAKE_CURRENT_BINARY_DIR}/${name}_environment.cmake)
  file(WRITE ${environment} "foreach(test IN LISTS ${name}_TESTS)
  set_tests_properties(\"\${test}\" PROPERTIES ENVIRONMENT
    \"VMETTE_BINARY=${PROJECT_BINARY_DIR}/vmette;VMETTE_SOURCE_DIR=${PROJECT_SOURCE_DIR};VMETTE_BUILD_DIR=${PROJECT_BINARY_DIR}\")
endforeach()
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${environment})
endfunction()
