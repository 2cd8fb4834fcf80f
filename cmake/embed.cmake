# Writes the bytes of the text file IN as the C array SYMBOL_text, terminated, with its length in SYMBOL_n.
file(READ ${IN} bytes HEX)
string(LENGTH "${bytes}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "(..)" "0x\\1," array "${bytes}")
string(REPLACE "0x0a," "0x0a,\n" array "${array}")
file(WRITE ${OUT} "#include <stddef.h>\nextern const char ${SYMBOL}_text[];\nextern const size_t ${SYMBOL}_n;\nconst char ${SYMBOL}_text[] = {\n${array}0};\nconst size_t ${SYMBOL}_n = ${size};\n")
