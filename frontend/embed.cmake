# Writes the bytes of a text file as the C array fe_std_text.
file(READ ${IN} bytes HEX)
string(LENGTH "${bytes}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "(..)" "0x\\1," array "${bytes}")
string(REPLACE "0x0a," "0x0a,\n" array "${array}")
file(WRITE ${OUT} "#include <stddef.h>\nextern const char fe_std_text[];\nextern const size_t fe_std_n;\nconst char fe_std_text[] = {\n${array}0};\nconst size_t fe_std_n = ${size};\n")
