# SPDX-License-Identifier: Apache-2.0
# find_package(ascend_attention): the target ascend_attention::ascend_attention, for C and C++.
# All paths are relative to this file, so the tree may be moved.
get_filename_component(_ascend_attention_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

if(NOT TARGET ascend_attention::ascend_attention)
  add_library(ascend_attention::ascend_attention SHARED IMPORTED)
  set_target_properties(ascend_attention::ascend_attention PROPERTIES
    IMPORTED_LOCATION "${_ascend_attention_prefix}/lib/libascend_attention.so"
    IMPORTED_SONAME "libascend_attention.so"
    INTERFACE_INCLUDE_DIRECTORIES "${_ascend_attention_prefix}/include")
  # A project in C alone has no C++ standard to choose.
  get_property(_ascend_attention_languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if("CXX" IN_LIST _ascend_attention_languages)
    set_target_properties(ascend_attention::ascend_attention PROPERTIES
      INTERFACE_COMPILE_FEATURES cxx_std_17)
  endif()
  unset(_ascend_attention_languages)
endif()
unset(_ascend_attention_prefix)
