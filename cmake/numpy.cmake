# ATTN_NUMPY: the Python for tests that want NumPy. The first of the one that CMake has found and the system's own that imports it, since the
# distribution's package serves the system's alone; else the one that CMake has found, and those tests are skipped with the reason.
set(ATTN_NUMPY ${Python3_EXECUTABLE})
foreach(python ${Python3_EXECUTABLE} /usr/bin/python3)
  execute_process(COMMAND ${python} -c "import numpy" RESULT_VARIABLE fails OUTPUT_QUIET ERROR_QUIET)
  if(fails EQUAL 0)
    set(ATTN_NUMPY ${python})
    break()
  endif()
endforeach()
