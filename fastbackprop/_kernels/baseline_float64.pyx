# The kernels for any CPU of the family: x86-64-v2, or aarch64 with NEON, in float64.
include "all.pxi"
