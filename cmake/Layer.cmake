# rung_layer(NAME [TORCH] LINK ...): the library rung_NAME from every source below src/NAME.

add_library(rung_options INTERFACE)
set(warnings -Wall -Wextra -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
  # False alarms of g++ 13 about fmt 9 once it is inlined; g++ 12 still checks our own code for both.
  list(APPEND warnings -Wno-array-bounds -Wno-stringop-overflow)
endif()
# Not for nvcc, whose -Werror wants a value.
target_compile_options(rung_options INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${warnings}>")
if(RUNG_SANITIZE)
  target_compile_options(rung_options INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer
                                                -fno-sanitize-recover=undefined -O1 -g1)
  target_link_options(rung_options INTERFACE -fsanitize=address,undefined)
endif()
if(RUNG_FUZZ)
  # clang warns of more than g++, for which the code is kept clean.
  target_compile_options(rung_options INTERFACE -fsanitize=fuzzer-no-link,address,undefined
                                                -fno-sanitize-recover=undefined -O1 -g -Wno-error)
  target_link_options(rung_options INTERFACE -fsanitize=address,undefined)
endif()

# One lean precompiled header for the torch-free half, one for the half above.
function(rung_precompile target torch)
  if(torch)
    set(owner rung_torch_pch)
  else()
    set(owner rung_plain_pch)
  endif()
  target_precompile_headers(${target} REUSE_FROM ${owner})
endfunction()

file(WRITE ${CMAKE_BINARY_DIR}/pch.cpp "")
add_library(rung_plain_pch OBJECT ${CMAKE_BINARY_DIR}/pch.cpp)
target_link_libraries(rung_plain_pch PUBLIC rung_options rung_third_party)
target_precompile_headers(rung_plain_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/plain_pch.h)
if(RUNG_TORCH)
  add_library(rung_torch_pch OBJECT ${CMAKE_BINARY_DIR}/pch.cpp)
  target_link_libraries(rung_torch_pch PUBLIC rung_options rung_third_party torch)
  target_precompile_headers(rung_torch_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/torch_pch.h)
endif()

# Several sources a compilation, which halves a cold build: headers and templates are read once a group. A source's own
# names (anonymous namespaces) must therefore be unique in its library, but in the folders of parts, which repeat them.
function(rung_unite target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${RUNG_UNITY} UNITY_BUILD_BATCH_SIZE 8)
  get_target_property(sources ${target} SOURCES)
  list(FILTER sources INCLUDE REGEX "/(parametrisations|mixers|ffns)/|\\.cu$")
  set_source_files_properties(${sources} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

function(rung_layer name)
  cmake_parse_arguments(layer "TORCH" "" "LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
  if(RUNG_CUDA AND layer_TORCH)
    file(GLOB_RECURSE kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cu)
  endif()
  if(NOT sources)
    add_library(rung_${name} INTERFACE)
    target_link_libraries(rung_${name} INTERFACE ${layer_LINK})
    return()
  endif()
  add_library(rung_${name} STATIC ${sources} ${kernels})
  target_include_directories(rung_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(rung_${name} PUBLIC ${layer_LINK} PRIVATE rung_options)
  if(layer_TORCH)
    target_link_libraries(rung_${name} PUBLIC torch)
  endif()
  rung_precompile(rung_${name} ${layer_TORCH})
  rung_unite(rung_${name})
endfunction()
