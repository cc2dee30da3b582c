# LibTorch from a PyTorch wheel. The wheel's own package config wants a CUDA toolkit even for CPU use, so the few
# libraries the project links are named here. Sets LibTorch_FOUND, LibTorch_VERSION and the targets torch::cpu,
# torch::openmp (the OpenMP runtime LibTorch loads anyway) and, where the headers of CUDA 13 and NCCL are (the wheels beside
# LibTorch, or a toolkit), torch::nccl_headers.
set(LIBTORCH_ROOT "$ENV{LIBTORCH_ROOT}" CACHE PATH "Folder that holds torch/ and nvidia/")
find_path(LibTorch_INCLUDE_DIR NAMES ATen/ATen.h HINTS "${LIBTORCH_ROOT}/torch/include" NO_DEFAULT_PATH)
find_library(LibTorch_cpu_LIBRARY NAMES torch_cpu HINTS "${LIBTORCH_ROOT}/torch/lib" NO_DEFAULT_PATH)
find_library(LibTorch_c10_LIBRARY NAMES c10 HINTS "${LIBTORCH_ROOT}/torch/lib" NO_DEFAULT_PATH)
find_file(LibTorch_gomp_LIBRARY NAMES libgomp.so.1 HINTS "${LIBTORCH_ROOT}/torch/lib" NO_DEFAULT_PATH)

if(LibTorch_INCLUDE_DIR)
  file(STRINGS "${LibTorch_INCLUDE_DIR}/torch/headeronly/version.h" version_lines
       REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH) ")
  string(REGEX REPLACE "[^0-9;]" "" version_numbers "${version_lines}")
  list(JOIN version_numbers "." LibTorch_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_cpu_LIBRARY LibTorch_c10_LIBRARY LibTorch_gomp_LIBRARY LibTorch_INCLUDE_DIR
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "run tools/setup, or set LIBTORCH_ROOT to the folder that holds torch/")

if(LibTorch_FOUND AND NOT TARGET torch::cpu)
  add_library(torch::c10 SHARED IMPORTED)
  set_target_properties(torch::c10 PROPERTIES IMPORTED_LOCATION "${LibTorch_c10_LIBRARY}" IMPORTED_SONAME libc10.so)
  add_library(torch::cpu SHARED IMPORTED)
  set_target_properties(torch::cpu PROPERTIES
    IMPORTED_LOCATION "${LibTorch_cpu_LIBRARY}" IMPORTED_SONAME libtorch_cpu.so
    INTERFACE_INCLUDE_DIRECTORIES "${LibTorch_INCLUDE_DIR};${LibTorch_INCLUDE_DIR}/torch/csrc/api/include"
    INTERFACE_COMPILE_DEFINITIONS "USE_DISTRIBUTED;USE_C10D_GLOO"
    INTERFACE_LINK_LIBRARIES torch::c10)
  add_library(torch::openmp INTERFACE IMPORTED)
  set_target_properties(torch::openmp PROPERTIES
    INTERFACE_COMPILE_OPTIONS "$<$<COMPILE_LANGUAGE:CXX>:-fopenmp>"
    INTERFACE_LINK_LIBRARIES "${LibTorch_gomp_LIBRARY}")
  # Headers only: whoever includes them finds the symbols in LibTorch's CUDA library at run time.
  set(toolkits "$ENV{CUDA_HOME}/include" /usr/local/cuda/include)
  find_path(LibTorch_cuda_INCLUDE_DIR NAMES cuda_runtime_api.h
    HINTS "${LIBTORCH_ROOT}/nvidia/cu13/include" ${toolkits} NO_DEFAULT_PATH)
  find_path(LibTorch_cublas_INCLUDE_DIR NAMES cublas_v2.h
    HINTS "${LIBTORCH_ROOT}/nvidia/cu13/include" ${toolkits} NO_DEFAULT_PATH)
  find_path(LibTorch_nccl_INCLUDE_DIR NAMES nccl.h
    HINTS "${LIBTORCH_ROOT}/nvidia/nccl/include" ${toolkits} /usr/local/include /usr/include NO_DEFAULT_PATH)
  set(nccl_headers ${LibTorch_cuda_INCLUDE_DIR} ${LibTorch_cublas_INCLUDE_DIR} ${LibTorch_nccl_INCLUDE_DIR})
  list(LENGTH nccl_headers n_found)
  set(cuda_13 "")
  if(n_found EQUAL 3 AND EXISTS "${LibTorch_cublas_INCLUDE_DIR}/cuda.h" AND
     EXISTS "${LibTorch_cublas_INCLUDE_DIR}/cusparse.h" AND EXISTS "${LibTorch_cublas_INCLUDE_DIR}/cusolver_common.h")
    file(STRINGS "${LibTorch_cublas_INCLUDE_DIR}/cuda.h" cuda_13 REGEX "define CUDA_VERSION 13")
  endif()
  if(cuda_13)
    list(REMOVE_DUPLICATES nccl_headers)
    add_library(torch::nccl_headers INTERFACE IMPORTED)
    set_target_properties(torch::nccl_headers PROPERTIES
      INTERFACE_INCLUDE_DIRECTORIES "${nccl_headers}" INTERFACE_LINK_LIBRARIES torch::cpu)
  endif()
endif()
