# A layer is a folder: one object library of its .c files, whose include path holds its own headers and those of the layers
# it may use, nothing else. So a forbidden #include does not compile.
#   attn_layer(NAME USES layer...)
# Headers of a layer are seen through the interface target NAME_headers.

set(ATTN_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wmissing-prototypes -Wstrict-prototypes)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND ATTN_WARNINGS -Wdouble-promotion)      # clang warns of INFINITY itself
endif()

function(attn_headers name dir)
  cmake_parse_arguments(ARG "" "" "USES" ${ARGN})
  add_library(${name}_headers INTERFACE)
  target_include_directories(${name}_headers INTERFACE ${dir})
  foreach(used ${ARG_USES})
    target_link_libraries(${name}_headers INTERFACE ${used}_headers)
  endforeach()
endfunction()

function(attn_compile_options target)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C>:${ATTN_WARNINGS}>)
  if(ATTN_WERROR)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C>:-Werror>)
  endif()
  if(ATTN_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=address,undefined)
  endif()
endfunction()

function(attn_layer name)
  cmake_parse_arguments(ARG "" "DIR" "USES" ${ARGN})
  if(NOT ARG_DIR)
    set(ARG_DIR ${CMAKE_CURRENT_SOURCE_DIR})
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${ARG_DIR}/*.c)
  attn_headers(${name} ${ARG_DIR} USES ${ARG_USES})
  if(NOT sources)
    return()
  endif()
  add_library(${name} OBJECT ${sources})
  target_link_libraries(${name} PRIVATE ${name}_headers)
  attn_compile_options(${name})
endfunction()
