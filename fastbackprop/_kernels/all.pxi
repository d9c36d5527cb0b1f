# Everything that a kernel module is made of, from the ground up. A variant's .pyx is
# this line and nothing else; setup.py gives each its flags.

from libc.math cimport INFINITY, NAN, isfinite
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

from fastbackprop._kernels.plan.plan cimport *
from fastbackprop._kernels.simd.simd cimport *

include "simd/lanes.pxi"
include "simd/math.pxi"
include "predict/activations.pxi"
include "compare/losses.pxi"
include "correct/updates.pxi"
include "products/dense.pxi"
include "run/team.pxi"
include "run/loop.pxi"
include "run/single.pxi"
include "predict/many_rows.pxi"
include "plan/network.pxi"
include "blame/inspect.pxi"
include "blame/derivatives.pxi"
include "run/work.pxi"
include "predict/few_rows.pxi"
include "run/peak.pxi"
