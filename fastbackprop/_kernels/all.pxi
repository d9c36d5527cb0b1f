# Everything that a kernel module is made of, from the ground up. A variant's .pyx is
# this line and nothing else; setup.py gives each its flags.

from libc.math cimport INFINITY, NAN
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

from fastbackprop._kernels.plan.plan cimport *
from fastbackprop._kernels.simd.simd cimport *

include "simd/lanes.pxi"
include "simd/math.pxi"
include "simd/arrays.pxi"
include "simd/atomics.pxi"
include "plan/network.pxi"
include "plan/spec.pxi"
include "plan/workspace.pxi"
include "products/tile.pxi"
include "products/packing.pxi"
include "predict/activations.pxi"
include "predict/norms.pxi"
include "predict/forward.pxi"
include "predict/many_rows.pxi"
include "predict/few_rows.pxi"
include "compare/targets.pxi"
include "compare/squared_error.pxi"
include "compare/binary_cross_entropy.pxi"
include "compare/cross_entropy.pxi"
include "compare/focal_cross_entropy.pxi"
include "compare/robust.pxi"
include "compare/poisson.pxi"
include "compare/gaussian_nll.pxi"
include "compare/hinge.pxi"
include "compare/compare.pxi"
include "blame/norms.pxi"
include "blame/backward.pxi"
include "blame/inspect.pxi"
include "correct/updates.pxi"
include "correct/bound.pxi"
include "correct/gradient.pxi"
include "correct/norms.pxi"
include "run/team.pxi"
include "run/undo.pxi"
include "run/loop.pxi"
include "run/phases.pxi"
include "run/single.pxi"
include "run/work.pxi"
include "run/chunks.pxi"
include "run/prediction.pxi"
include "run/one_step.pxi"
include "run/derivatives.pxi"
include "run/hessian.pxi"
include "run/peak.pxi"
