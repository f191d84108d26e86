# One imported target, `torch`, straight from the Python wheel. It never runs Caffe2Config, so it needs
# neither nvcc nor CUDA headers to configure on a CPU host. TORCH_ROOT overrides the search.
if(NOT TORCH_ROOT)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  execute_process(
    COMMAND ${Python3_EXECUTABLE} -c
      "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
    OUTPUT_VARIABLE TORCH_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
endif()
set(TORCH_ROOT ${TORCH_ROOT} CACHE PATH "The torch package folder of the wheel")
add_library(torch INTERFACE IMPORTED)
target_include_directories(torch SYSTEM INTERFACE ${TORCH_ROOT}/include
                                                  ${TORCH_ROOT}/include/torch/csrc/api/include)
target_compile_definitions(torch INTERFACE AT_PER_OPERATOR_HEADERS)
target_link_directories(torch INTERFACE ${TORCH_ROOT}/lib)
target_link_libraries(torch INTERFACE torch_cpu c10)
set(RUNG_CUDA_DIALECT 17)  # CMake 3.25 knows no later one for nvcc
if(RUNG_CUDA)
  # An option, not a test for libtorch_cuda.so: a CPU-only install holds that file too, without its dependencies.
  set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)  # the one that torch loads: two in a program disagree
  enable_language(CUDA)
  if(NOT CMAKE_CUDA_ARCHITECTURES OR CMAKE_CUDA_ARCHITECTURES STREQUAL "75")
    set(CMAKE_CUDA_ARCHITECTURES 90a)
  endif()
  set(CMAKE_CUDA_STANDARD ${RUNG_CUDA_DIALECT})
  find_package(CUDAToolkit REQUIRED)
  target_include_directories(torch SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS})
  target_compile_definitions(torch INTERFACE RUNG_CUDA)
  # Nothing refers to torch_cuda by symbol, so the linker would drop it and CUDA would vanish.
  target_link_libraries(torch INTERFACE -Wl,--push-state,--no-as-needed torch_cuda c10_cuda
                                        -Wl,--pop-state CUDA::cudart)
  # The cuBLASLt that torch itself loads; where torch is not from a wheel, the toolkit's.
  find_library(RUNG_CUBLASLT NAMES libcublasLt.so.13 libcublasLt.so.12 cublasLt
               HINTS ${TORCH_ROOT}/../nvidia/cu13/lib ${TORCH_ROOT}/../nvidia/cublas/lib
                     ${CUDAToolkit_LIBRARY_DIR} REQUIRED)
  find_path(RUNG_CUBLAS_INCLUDE cublasLt.h HINTS ${CUDAToolkit_INCLUDE_DIRS} ${TORCH_ROOT}/../nvidia/cu13/include
                                                 ${TORCH_ROOT}/../nvidia/cublas/include REQUIRED)
  target_include_directories(torch SYSTEM INTERFACE ${RUNG_CUBLAS_INCLUDE})
  target_link_libraries(torch INTERFACE ${RUNG_CUBLASLT})
endif()
set(CMAKE_BUILD_RPATH ${TORCH_ROOT}/lib)
