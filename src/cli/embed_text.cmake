# cmake -DINPUT=F -DOUTPUT=F.cc -DNAME=kName -P: a text file as a string of namespace vmette::cli. In pieces, since a
# compiler need not take literals of more than 64 KiB.
file(READ ${INPUT} text)
if(text MATCHES "[)]embedded\"")
  message(FATAL_ERROR "${INPUT} holds the literal's own end")
endif()
set(literal "")
string(LENGTH "${text}" length)
set(at 0)
while(at LESS length)
  string(SUBSTRING "${text}" ${at} 8000 piece)
  string(APPEND literal "R\"embedded(${piece})embedded\"\n")
  math(EXPR at "${at} + 8000")
endwhile()
file(WRITE ${OUTPUT} "namespace vmette::cli {
extern const char* const ${NAME};
const char* const ${NAME} = ${literal};
}  // namespace vmette::cli
")
