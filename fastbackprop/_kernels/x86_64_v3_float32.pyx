# The kernels for x86-64-v3: AVX2 and FMA, in float32.
include "all.pxi"
