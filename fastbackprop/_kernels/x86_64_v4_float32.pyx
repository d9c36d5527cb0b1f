# The kernels for x86-64-v4: AVX-512 F, CD, BW, DQ, VL, in float32.
include "all.pxi"
