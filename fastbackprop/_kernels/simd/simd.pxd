# The names of simd.h for Cython. `real` is float or double, decided by FBP_FLOAT64;
# Cython is told double, so that a Python float on its way to a real loses nothing.

cdef extern from "simd.h" nogil:
    ctypedef double real
    ctypedef struct vec:
        pass
    ctypedef struct vmask:
        pass
    ctypedef void out_of_line "FBP_OUT_OF_LINE void"     # of a function that returns nothing

    enum:
        IS_DEBUG "FBP_IS_DEBUG"
        HAS_FMA "FBP_HAS_FMA"
        ALIGNMENT "FBP_ALIGNMENT"                    # bytes
        BLOCK "FBP_BLOCK"                            # reals in 64 bytes
        LANES "FBP_LANES"                            # reals in a vector
        VECTORS_PER_BLOCK "FBP_VECTORS_PER_BLOCK"
        PANEL "FBP_PANEL"                            # columns of a tile: whole blocks
        TILE_ROWS "FBP_TILE_ROWS"
        TILE_VECTORS "FBP_TILE_VECTORS"
        WEIGHT_ROWS "FBP_WEIGHT_ROWS"
        EXPONENT_BIAS "FBP_EXPONENT_BIAS"
        MANTISSA_BITS "FBP_MANTISSA_BITS"
        REAL_TYPE "FBP_NUMPY_TYPE"                   # NumPy's number for the type
    const char* DTYPE "FBP_DTYPE"
    const char* ISA "FBP_ISA"
    const real SMALLEST_NORMAL "FBP_SMALLEST_NORMAL"
    const real LARGEST "FBP_LARGEST"             # finite

    void fbp_assert(bint condition) noexcept

    vec v_zero() noexcept
    vec v_set1(real x) noexcept
    vec v_load(const real* p) noexcept               # 64-byte rows: always aligned
    void v_store(real* p, vec x) noexcept
    vec v_load_first(const real* p, Py_ssize_t n) noexcept   # n lanes of p, then zeros
    vec v_first(vec x, Py_ssize_t n) noexcept                # n lanes of x, then zeros
    vec v_first_or(vec x, Py_ssize_t n, vec y) noexcept      # n lanes of x, the others of y
    vec v_add(vec a, vec b) noexcept
    vec v_sub(vec a, vec b) noexcept
    vec v_mul(vec a, vec b) noexcept
    vec v_div(vec a, vec b) noexcept
    vec v_sqrt(vec x) noexcept                       # correctly rounded
    vec v_max(vec a, vec b) noexcept
    vec v_min(vec a, vec b) noexcept
    vec v_fma(vec a, vec b, vec c) noexcept          # a * b + c
    vec v_fnma(vec a, vec b, vec c) noexcept         # c - a * b
    vec v_round(vec x) noexcept                      # to the nearest, halves to even
    vec v_abs(vec x) noexcept
    vec v_copysign(vec magnitude, vec sign) noexcept
    vmask v_less(vec a, vec b) noexcept
    vec v_select(vmask mask, vec yes, vec no) noexcept
    vec v_or(vec a, vec b) noexcept                  # of the bits
    vec v_note_nonfinite(vec noted, vec x) noexcept  # begins with zeros
    bint v_all_finite(vec noted) noexcept            # whether nothing was noted
    bint is_finite "fbp_is_finite"(real x) noexcept
    bint is_zero "fbp_is_zero"(real x) noexcept
    bint is_finite_double "fbp_is_finite_double"(double x) noexcept
    vec v_relu(vec x) noexcept
    real v_sum_of_block(vec* parts) noexcept         # of a block, in one fixed order
    real v_largest(vec x) noexcept
    real v_sum_of_first(vec x, Py_ssize_t n) noexcept        # of a block with zeros behind n
    real v_largest_of_first(vec x, Py_ssize_t n) noexcept
    vec v_lane(vec x, Py_ssize_t i) noexcept         # everywhere
    void v_transpose(vec* x) noexcept                # LANES vectors: rows become columns
    void prefetch "v_prefetch"(const real* p) noexcept      # into the second cache; any address
    void prefetch_near "v_prefetch_near"(const real* p) noexcept     # into the first
    vec v_pow2(vec n) noexcept
    vec v_biased_exponent(vec x) noexcept
    vec v_mantissa(vec x) noexcept
    real quotient "fbp_quotient"(double numerator, double denominator) noexcept
    real v_get_first(vec x) noexcept
    void v_store_any(real* p, vec x) noexcept        # any address
    vec v_load_any(const real* p) noexcept

cdef extern from "mode.h" nogil:
    ctypedef struct Mode "fbp_mode":
        pass
    bint mode_is_set "fbp_mode_is_set"() noexcept
    Mode begin_mode "fbp_mode_begin"() noexcept      # before any arithmetic, on each thread
    void end_mode "fbp_mode_end"(Mode caller) noexcept

cdef extern from "built_from.h" nogil:
    const char* SOURCES "FBP_SOURCES"            # of setup.py: a digest of the kernel sources
