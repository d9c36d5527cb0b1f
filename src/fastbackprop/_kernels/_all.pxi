# Everything that a kernel module is made of, from the ground up. A variant's .pyx is
# this line and nothing else; setup.py gives each its flags.

from libc.math cimport INFINITY, NAN, isfinite
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

from fastbackprop._kernels._plan cimport *
from fastbackprop._kernels._simd cimport *

include "_lanes.pxi"
include "_math.pxi"
include "_activations.pxi"
include "_losses.pxi"
include "_updates.pxi"
include "_dense.pxi"
include "_team.pxi"
include "_loop.pxi"
include "_single.pxi"
include "_predict.pxi"
include "_network.pxi"
include "_inspect.pxi"
include "_derivatives.pxi"
include "_work.pxi"
include "_quick.pxi"
include "_peak.pxi"
