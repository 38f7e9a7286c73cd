# cmake -DOUTPUT=F.cc -DFOLDER=migrations -P: turns NNNN_name.sql files into the table that migrate.h declares.
file(GLOB files RELATIVE ${FOLDER} ${FOLDER}/*.sql)
list(SORT files)
set(entries "")
set(expected 1)
foreach(file ${files})
  if(NOT file MATCHES "^([0-9][0-9][0-9][0-9])_([a-z0-9_]+)[.]sql$")
    message(FATAL_ERROR "${file}: a migration is called NNNN_name.sql")
  endif()
  set(name ${CMAKE_MATCH_2})
  string(REGEX REPLACE "^0+" "" version ${CMAKE_MATCH_1})
  if(NOT version EQUAL expected)
    message(FATAL_ERROR "${file}: the next migration has number ${expected}")
  endif()
  math(EXPR expected "${expected} + 1")
  file(READ ${FOLDER}/${file} sql)
  string(APPEND entries "    {${version}, \"${name}\", R\"sql(${sql})sql\"},\n")
endforeach()
file(WRITE ${OUTPUT} "#include \"store/migrate.h\"

namespace vmette::store {
namespace {

constexpr Migration kMigrations[] = {
${entries}};

}  // namespace

std::span<const Migration> migrations() { return kMigrations; }

}  // namespace vmette::store
")
