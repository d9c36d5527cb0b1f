/* One vocabulary of vector operations for every instruction set.

   The kernels are written once, over the names below. Which instructions they
   become is decided here, from what the compiler was told to use:

     AVX-512 F            x86_64_v4     512 bits a vector
     AVX2 with FMA        x86_64_v3     256 bits
     SSE4.2               baseline      128 bits, no FMA: multiply, then add
     NEON (aarch64)       baseline      128 bits, with FMA

   and for which type from FBP_FLOAT64. Five rules keep results the same to the
   last bit on all of them (but for the baseline of x86-64, which has no FMA):

     a) v_fma is one rounding; nothing else may fuse (-ffp-contract=off).
     b) Operations act on each lane alone, so the width of a vector can't matter.
     c) Whatever sums across lanes does so as BLOCK fixed lanes, 64 bytes of
        reals, however many vectors that takes (see lanes.pxi).
     d) Only operations that IEEE 754 defines exactly: no reciprocal estimates.
     e) v_max and v_min give back a NaN that stands in their second argument
        (NEON's one in either; no result depends on it, nor on the order of -0 and 0).
   The bits of a NaN itself are the machine's: x86 sets its sign, ARM does not.

   This header, mode.h, atomics.h and _core/cpu_id.h are the only places for compiler extensions. */

#ifndef FBP_SIMD_H
#define FBP_SIMD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* setup.py undoes such flags where they come from outside; what it doesn't know of ends here. */
#if defined(__FAST_MATH__) || defined(_M_FP_FAST) || defined(__ASSOCIATIVE_MATH__) || \
    defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__) || \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ != 0)
#error "fastbackprop's kernels need exact arithmetic: compile them without -ffast-math, -Ofast or /fp:fast"
#endif

#include "mode.h"

/* Kernels pass the tile's height and width as constants through Cython's
   `cdef inline` functions; the accumulators live in registers only if each of
   those is inlined for certain. Cython has set CYTHON_INLINE by now and uses it
   for all that follows. */
#if defined(_MSC_VER) && !defined(__clang__)
#  pragma fp_contract(off)                             /* older ones fuse under /fp:precise */
#  define FBP_INLINE __forceinline
#  define FBP_OUT_OF_LINE __declspec(noinline)
#else
#  define FBP_INLINE inline __attribute__((always_inline))
#  define FBP_OUT_OF_LINE __attribute__((noinline))
#endif
#undef CYTHON_INLINE
#define CYTHON_INLINE FBP_INLINE
#define FBP_FN static FBP_INLINE

#ifdef FBP_DEBUG
#  undef NDEBUG
#  include <assert.h>
#  define fbp_assert(condition) assert(condition)
#  define FBP_IS_DEBUG 1
#else
#  define fbp_assert(condition) ((void)0)
#  define FBP_IS_DEBUG 0
#endif

/* ---- the type ---------------------------------------------------------- */

#ifdef FBP_FLOAT64
typedef double real;
typedef uint64_t real_bits;
#  define FBP_DTYPE "float64"
#  define FBP_NUMPY_TYPE NPY_FLOAT64
#  define FBP_MANTISSA_BITS 52
#  define FBP_EXPONENT_BIAS 1023
#  define FBP_INTEGER_MAGIC 4503599627370496.0        /* 2^52: spacing 1 */
#  define FBP_SMALLEST_NORMAL 2.2250738585072014e-308
#  define FBP_LARGEST 1.7976931348623157e308
#else
typedef float real;
typedef uint32_t real_bits;
#  define FBP_DTYPE "float32"
#  define FBP_NUMPY_TYPE NPY_FLOAT32
#  define FBP_MANTISSA_BITS 23
#  define FBP_EXPONENT_BIAS 127
#  define FBP_INTEGER_MAGIC 8388608.0f                /* 2^23: spacing 1 */
#  define FBP_SMALLEST_NORMAL 1.17549435e-38f
#  define FBP_LARGEST 3.40282347e38f
#endif

#define FBP_ALIGNMENT 64
#define FBP_BLOCK ((int)(64 / sizeof(real)))          /* lanes of a fixed sum */
#define FBP_LANES ((int)(sizeof(vec) / sizeof(real))) /* lanes of a vector */
#define FBP_PART ((int)(16 / sizeof(real)))           /* lanes of a part of x86-64's vectors */
/* n, from 0 to most, without a branch: n may be a label, which no CPU can foresee. */
FBP_FN ptrdiff_t fbp_count(ptrdiff_t n, ptrdiff_t most) {
    ptrdiff_t at_least_0 = n & ~(n >> (8 * sizeof n - 1)), beyond = at_least_0 - most;
    return most + (beyond & (beyond >> (8 * sizeof n - 1)));
}
/* Each instruction set says: the rows and vectors of a tile, and the rows of weights
   that one thread corrects at a time: whole tiles, and whole cache lines of W^T. */

/* ---- AVX-512 ------------------------------------------------------------ */

#if defined(__AVX512F__)
#include <immintrin.h>
#define FBP_ISA "x86_64_v4"
#define FBP_HAS_FMA 1
#define FBP_TILE_ROWS 8
#define FBP_WEIGHT_ROWS 32
#define FBP_TILE_VECTORS 3
#ifdef FBP_FLOAT64
typedef __m512d vec;
#  define FBP_HALF __m256d
typedef __mmask8 vmask;
#  define FBP_V(name) _mm512_##name##_pd
#  define FBP_BITS(x) _mm512_castpd_si512(x)
#  define FBP_FROM_BITS(i) _mm512_castsi512_pd(i)
#  define FBP_SHIFT(op, i) _mm512_##op##_epi64(i, 52)
#  define FBP_SET_BITS(b) _mm512_set1_epi64((long long)(b))
#  define FBP_ADD_BITS(a, b) _mm512_add_epi64(a, b)
#  define FBP_SIGNS(x) _mm512_movepi64_mask(FBP_BITS(x))
#  define FBP_FIRST_128(x) _mm512_castpd512_pd128(x)
#else
typedef __m512 vec;
#  define FBP_HALF __m256
typedef __mmask16 vmask;
#  define FBP_V(name) _mm512_##name##_ps
#  define FBP_BITS(x) _mm512_castps_si512(x)
#  define FBP_FROM_BITS(i) _mm512_castsi512_ps(i)
#  define FBP_SHIFT(op, i) _mm512_##op##_epi32(i, 23)
#  define FBP_SET_BITS(b) _mm512_set1_epi32((int)(b))
#  define FBP_ADD_BITS(a, b) _mm512_add_epi32(a, b)
#  define FBP_SIGNS(x) _mm512_movepi32_mask(FBP_BITS(x))
#  define FBP_FIRST_128(x) _mm512_castps512_ps128(x)
#endif
#define FBP_XOR_BITS(a, b) _mm512_xor_si512(a, b)

FBP_FN vec v_fma(vec a, vec b, vec c) { return FBP_V(fmadd)(a, b, c); }
FBP_FN vec v_fnma(vec a, vec b, vec c) { return FBP_V(fnmadd)(a, b, c); }
FBP_FN vec v_round(vec x) {
    return FBP_V(roundscale)(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
FBP_FN vec v_and(vec a, vec b) { return FBP_FROM_BITS(_mm512_and_si512(FBP_BITS(a), FBP_BITS(b))); }
FBP_FN vec v_or(vec a, vec b) { return FBP_FROM_BITS(_mm512_or_si512(FBP_BITS(a), FBP_BITS(b))); }
#ifdef FBP_FLOAT64
FBP_FN vmask v_less(vec a, vec b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
FBP_FN vmask fbp_first(ptrdiff_t n) { return (vmask)((1u << fbp_count(n, 8)) - 1u); }
#else
FBP_FN vmask v_less(vec a, vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
FBP_FN vmask fbp_first(ptrdiff_t n) { return (vmask)((1u << fbp_count(n, 16)) - 1u); }
#endif
FBP_FN vec v_select(vmask m, vec yes, vec no) { return FBP_V(mask_blend)(m, no, yes); }
#ifdef FBP_FLOAT64
#  define FBP_QUARTERS(a, b, which) _mm512_shuffle_f64x2(a, b, which)
#else
#  define FBP_QUARTERS(a, b, which) _mm512_shuffle_f32x4(a, b, which)
#endif
FBP_FN void fbp_turn_parts(const vec *x, vec *out) {
    int i;
    for (i = 0; i < FBP_PART; i++) {
        vec a = x[i], b = x[FBP_PART + i], c = x[2 * FBP_PART + i], d = x[3 * FBP_PART + i];
        vec even_1 = FBP_QUARTERS(a, b, 0x88), odd_1 = FBP_QUARTERS(a, b, 0xdd);
        vec even_2 = FBP_QUARTERS(c, d, 0x88), odd_2 = FBP_QUARTERS(c, d, 0xdd);
        out[i] = FBP_QUARTERS(even_1, even_2, 0x88);
        out[FBP_PART + i] = FBP_QUARTERS(odd_1, odd_2, 0x88);
        out[2 * FBP_PART + i] = FBP_QUARTERS(even_1, even_2, 0xdd);
        out[3 * FBP_PART + i] = FBP_QUARTERS(odd_1, odd_2, 0xdd);
    }
}
FBP_FN vec v_first(vec x, ptrdiff_t n) { return FBP_V(maskz_mov)(fbp_first(n), x); }
FBP_FN vec v_load_first(const real *p, ptrdiff_t n) { return FBP_V(maskz_loadu)(fbp_first(n), p); }

/* ---- AVX2 and FMA --------------------------------------------------------- */

#elif defined(__AVX2__)
#if !defined(__FMA__) && !defined(_MSC_VER)
#error "AVX2 without FMA is not a variant: compile x86_64_v3 with -mfma"
#endif
#include <immintrin.h>
#define FBP_ISA "x86_64_v3"
#define FBP_HAS_FMA 1
#define FBP_TILE_ROWS 6
#define FBP_WEIGHT_ROWS 48
#define FBP_TILE_VECTORS 2
#ifdef FBP_FLOAT64
typedef __m256d vec;
#  define FBP_V(name) _mm256_##name##_pd
#  define FBP_BITS(x) _mm256_castpd_si256(x)
#  define FBP_FROM_BITS(i) _mm256_castsi256_pd(i)
#  define FBP_SHIFT(op, i) _mm256_##op##_epi64(i, 52)
#  define FBP_SET_BITS(b) _mm256_set1_epi64x((long long)(b))
#  define FBP_FIRST_128(x) _mm256_castpd256_pd128(x)
#  define FBP_ADD_BITS(a, b) _mm256_add_epi64(a, b)
#else
typedef __m256 vec;
#  define FBP_V(name) _mm256_##name##_ps
#  define FBP_BITS(x) _mm256_castps_si256(x)
#  define FBP_FROM_BITS(i) _mm256_castsi256_ps(i)
#  define FBP_SHIFT(op, i) _mm256_##op##_epi32(i, 23)
#  define FBP_SET_BITS(b) _mm256_set1_epi32((int)(b))
#  define FBP_FIRST_128(x) _mm256_castps256_ps128(x)
#  define FBP_ADD_BITS(a, b) _mm256_add_epi32(a, b)
#endif
#define FBP_XOR_BITS(a, b) _mm256_xor_si256(a, b)
#define FBP_SIGNS(x) FBP_V(movemask)(x)
typedef vec vmask;

FBP_FN vec v_fma(vec a, vec b, vec c) { return FBP_V(fmadd)(a, b, c); }
FBP_FN vec v_fnma(vec a, vec b, vec c) { return FBP_V(fnmadd)(a, b, c); }
FBP_FN vec v_round(vec x) { return FBP_V(round)(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
FBP_FN vec v_and(vec a, vec b) { return FBP_V(and)(a, b); }
FBP_FN vec v_or(vec a, vec b) { return FBP_V(or)(a, b); }
FBP_FN vmask v_less(vec a, vec b) { return FBP_V(cmp)(a, b, _CMP_LT_OQ); }
FBP_FN vec v_select(vmask m, vec yes, vec no) { return FBP_V(blendv)(no, yes, m); }
FBP_FN void fbp_turn_parts(const vec *x, vec *out) {
    int i;
    for (i = 0; i < FBP_PART; i++) {
        out[i] = FBP_V(permute2f128)(x[i], x[FBP_PART + i], 0x20);
        out[FBP_PART + i] = FBP_V(permute2f128)(x[i], x[FBP_PART + i], 0x31);
    }
}

/* A sliding window over this table is the mask of the first n lanes. */
static const real_bits fbp_window[16] = {
    (real_bits)-1, (real_bits)-1, (real_bits)-1, (real_bits)-1,
    (real_bits)-1, (real_bits)-1, (real_bits)-1, (real_bits)-1, 0, 0, 0, 0, 0, 0, 0, 0};
FBP_FN __m256i fbp_first(ptrdiff_t n) {
    return _mm256_loadu_si256((const __m256i *)(fbp_window + 8 - fbp_count(n, FBP_LANES)));
}
FBP_FN vec v_first(vec x, ptrdiff_t n) { return v_and(x, FBP_FROM_BITS(fbp_first(n))); }
FBP_FN vec v_load_first(const real *p, ptrdiff_t n) { return FBP_V(maskload)(p, fbp_first(n)); }

/* ---- SSE4.2: no FMA ------------------------------------------------------- */

#elif defined(__SSE4_2__) || defined(_M_X64)
#include <nmmintrin.h>
#define FBP_ISA "baseline"
#define FBP_HAS_FMA 0
#define FBP_TILE_ROWS 4
#define FBP_WEIGHT_ROWS 32
#define FBP_TILE_VECTORS 2
#ifdef FBP_FLOAT64
typedef __m128d vec;
#  define FBP_V(name) _mm_##name##_pd
#  define FBP_BITS(x) _mm_castpd_si128(x)
#  define FBP_FROM_BITS(i) _mm_castsi128_pd(i)
#  define FBP_SHIFT(op, i) _mm_##op##_epi64(i, 52)
#  define FBP_SET_BITS(b) _mm_set1_epi64x((long long)(b))
#  define FBP_ADD_BITS(a, b) _mm_add_epi64(a, b)
#else
typedef __m128 vec;
#  define FBP_V(name) _mm_##name##_ps
#  define FBP_BITS(x) _mm_castps_si128(x)
#  define FBP_FROM_BITS(i) _mm_castsi128_ps(i)
#  define FBP_SHIFT(op, i) _mm_##op##_epi32(i, 23)
#  define FBP_SET_BITS(b) _mm_set1_epi32((int)(b))
#  define FBP_ADD_BITS(a, b) _mm_add_epi32(a, b)
#endif
#define FBP_XOR_BITS(a, b) _mm_xor_si128(a, b)
#define FBP_SIGNS(x) FBP_V(movemask)(x)
typedef vec vmask;

FBP_FN vec v_fma(vec a, vec b, vec c) { return FBP_V(add)(FBP_V(mul)(a, b), c); }
FBP_FN vec v_fnma(vec a, vec b, vec c) { return FBP_V(sub)(c, FBP_V(mul)(a, b)); }
FBP_FN vec v_round(vec x) { return FBP_V(round)(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
FBP_FN vec v_and(vec a, vec b) { return FBP_V(and)(a, b); }
FBP_FN vec v_or(vec a, vec b) { return FBP_V(or)(a, b); }
FBP_FN vmask v_less(vec a, vec b) { return FBP_V(cmplt)(a, b); }
FBP_FN vec v_select(vmask m, vec yes, vec no) { return FBP_V(blendv)(no, yes, m); }
FBP_FN void fbp_turn_parts(const vec *x, vec *out) { memcpy(out, x, FBP_PART * sizeof(vec)); }

/* ---- NEON ----------------------------------------------------------------- */

#elif defined(__aarch64__) || defined(_M_ARM64)
#include <arm_neon.h>
#define FBP_NEON
#define FBP_ISA "baseline"
#define FBP_HAS_FMA 1
#define FBP_TILE_ROWS 6
#define FBP_WEIGHT_ROWS 48
#define FBP_TILE_VECTORS 4
#ifdef FBP_FLOAT64
typedef float64x2_t vec;
typedef uint64x2_t vmask;
#  define FBP_V(name) name##q_f64
#  define FBP_N(name) name##q_n_f64
#  define FBP_BITS(x) vreinterpretq_u64_f64(x)
#  define FBP_FROM_BITS(i) vreinterpretq_f64_u64(i)
#  define FBP_U(name) name##q_u64
#  define FBP_SHIFT(op, i) op##q_n_u64(i, 52)
#  define FBP_SET_BITS(b) vdupq_n_u64(b)
#  define FBP_SIGNS(x) vmaxvq_u32(vreinterpretq_u32_u64(vshrq_n_u64(FBP_BITS(x), 63)))
#else
typedef float32x4_t vec;
typedef uint32x4_t vmask;
#  define FBP_V(name) name##q_f32
#  define FBP_N(name) name##q_n_f32
#  define FBP_BITS(x) vreinterpretq_u32_f32(x)
#  define FBP_FROM_BITS(i) vreinterpretq_f32_u32(i)
#  define FBP_U(name) name##q_u32
#  define FBP_SHIFT(op, i) op##q_n_u32(i, 23)
#  define FBP_SET_BITS(b) vdupq_n_u32(b)
#  define FBP_SIGNS(x) vmaxvq_u32(vshrq_n_u32(FBP_BITS(x), 31))
#endif
#define FBP_ADD_BITS(a, b) FBP_U(vadd)(a, b)
#define FBP_XOR_BITS(a, b) FBP_U(veor)(a, b)

FBP_FN vec v_zero(void) { return FBP_N(vdup)(0); }
FBP_FN vec v_set1(real x) { return FBP_N(vdup)(x); }
FBP_FN vec v_load(const real *p) { return FBP_V(vld1)(p); }
FBP_FN void v_store(real *p, vec x) { FBP_V(vst1)(p, x); }
FBP_FN vec v_add(vec a, vec b) { return FBP_V(vadd)(a, b); }
FBP_FN vec v_sub(vec a, vec b) { return FBP_V(vsub)(a, b); }
FBP_FN vec v_mul(vec a, vec b) { return FBP_V(vmul)(a, b); }
FBP_FN vec v_div(vec a, vec b) { return FBP_V(vdiv)(a, b); }
FBP_FN vec v_sqrt(vec x) { return FBP_V(vsqrt)(x); }
FBP_FN vec v_max(vec a, vec b) { return FBP_V(vmax)(a, b); }
FBP_FN vec v_min(vec a, vec b) { return FBP_V(vmin)(a, b); }
FBP_FN vec v_fma(vec a, vec b, vec c) { return FBP_V(vfma)(c, a, b); }
FBP_FN vec v_fnma(vec a, vec b, vec c) { return FBP_V(vfms)(c, a, b); }
FBP_FN vec v_round(vec x) { return FBP_V(vrndn)(x); }
FBP_FN vec v_and(vec a, vec b) { return FBP_FROM_BITS(FBP_U(vand)(FBP_BITS(a), FBP_BITS(b))); }
FBP_FN vec v_or(vec a, vec b) { return FBP_FROM_BITS(FBP_U(vorr)(FBP_BITS(a), FBP_BITS(b))); }
FBP_FN vec v_from_bits(real_bits b) { return FBP_FROM_BITS(FBP_SET_BITS(b)); }
FBP_FN vec v_mantissa_to_exponent(vec x) { return FBP_FROM_BITS(FBP_SHIFT(vshl, FBP_BITS(x))); }
FBP_FN vec v_exponent_to_mantissa(vec x) { return FBP_FROM_BITS(FBP_SHIFT(vshr, FBP_BITS(x))); }
FBP_FN vmask v_less(vec a, vec b) { return FBP_V(vclt)(a, b); }
FBP_FN vec v_select(vmask m, vec yes, vec no) { return FBP_V(vbsl)(m, yes, no); }

#else
#error "fastbackprop's kernels need x86-64-v2 (SSE4.2) or aarch64 (NEON)"
#endif

/* ---- what is written alike on all of x86 ------------------------------------- */

#if !defined(FBP_NEON)
FBP_FN vec v_zero(void) { return FBP_V(setzero)(); }
FBP_FN vec v_set1(real x) { return FBP_V(set1)(x); }
FBP_FN vec v_load(const real *p) { return FBP_V(load)(p); }
FBP_FN void v_store(real *p, vec x) { FBP_V(store)(p, x); }
FBP_FN vec v_add(vec a, vec b) { return FBP_V(add)(a, b); }
FBP_FN vec v_sub(vec a, vec b) { return FBP_V(sub)(a, b); }
FBP_FN vec v_mul(vec a, vec b) { return FBP_V(mul)(a, b); }
FBP_FN vec v_div(vec a, vec b) { return FBP_V(div)(a, b); }
FBP_FN vec v_sqrt(vec x) { return FBP_V(sqrt)(x); }
FBP_FN vec v_max(vec a, vec b) { return FBP_V(max)(a, b); }
FBP_FN vec v_min(vec a, vec b) { return FBP_V(min)(a, b); }
FBP_FN vec v_from_bits(real_bits b) { return FBP_FROM_BITS(FBP_SET_BITS(b)); }
FBP_FN vec v_mantissa_to_exponent(vec x) { return FBP_FROM_BITS(FBP_SHIFT(slli, FBP_BITS(x))); }
FBP_FN vec v_exponent_to_mantissa(vec x) { return FBP_FROM_BITS(FBP_SHIFT(srli, FBP_BITS(x))); }
#endif

/* ---- what all of them share ------------------------------------------------ */

#define FBP_VECTORS_PER_BLOCK (FBP_BLOCK / FBP_LANES)
/* Columns of a tile, or of a block where that is wider. */
#define FBP_PANEL \
    (FBP_TILE_VECTORS > FBP_VECTORS_PER_BLOCK ? FBP_TILE_VECTORS * FBP_LANES : FBP_BLOCK)

/* The first n lanes of x (n may be anything), and the others of y. */
#if defined(__AVX512F__)
FBP_FN vec v_first_or(vec x, ptrdiff_t n, vec y) { return FBP_V(mask_mov)(y, fbp_first(n), x); }
#elif defined(__AVX2__)
FBP_FN vec v_first_or(vec x, ptrdiff_t n, vec y) {
    return FBP_V(blendv)(y, x, FBP_FROM_BITS(fbp_first(n)));
}
#else
static const real fbp_lane_numbers[4] = {0, 1, 2, 3};
FBP_FN vec v_first_or(vec x, ptrdiff_t n, vec y) {
    real limit = (real)(n < 0 ? 0 : n > FBP_LANES ? FBP_LANES : n);
    vec lanes;
    memcpy(&lanes, fbp_lane_numbers, sizeof lanes);
    return v_select(v_less(lanes, v_set1(limit)), x, y);
}
FBP_FN vec v_first(vec x, ptrdiff_t n) { return v_first_or(x, n, v_zero()); }
FBP_FN vec v_load_first(const real *p, ptrdiff_t n) {   /* nothing behind p + n is touched */
    real lanes[FBP_LANES] = {0};
    ptrdiff_t i;
    for (i = 0; i < FBP_LANES && i < n; i++) lanes[i] = p[i];
    { vec x; memcpy(&x, lanes, sizeof x); return x; }
}
#endif

/* max(0, x), where -0 and NaN stay what they are. */
#if defined(FBP_NEON)
FBP_FN vec v_relu(vec x) { return v_select(v_less(x, v_zero()), v_zero(), x); }
#else
FBP_FN vec v_relu(vec x) { return v_max(v_zero(), x); }
#endif

/* Across the lanes of one vector: halves folded onto each other, until one is left.
   Lane i meets lane i + width / 2, so a block of BLOCK lanes is summed in one order
   however many vectors hold it. */
#if defined(FBP_NEON)
#  ifdef FBP_FLOAT64
FBP_FN real fbp_fold_add(vec x) { return vgetq_lane_f64(x, 0) + vgetq_lane_f64(x, 1); }
FBP_FN real fbp_fold_max(vec x) { return vmaxvq_f64(x); }
#  else
FBP_FN real fbp_fold_add(vec x) {
    float32x2_t y = vadd_f32(vget_low_f32(x), vget_high_f32(x));
    return vget_lane_f32(y, 0) + vget_lane_f32(y, 1);
}
FBP_FN real fbp_fold_max(vec x) { return vmaxvq_f32(x); }
#  endif
#else
#  ifdef FBP_FLOAT64
#    define FBP_FOLD_128(op, x) _mm_cvtsd_f64(_mm_##op##_sd(x, _mm_unpackhi_pd(x, x)))
#    define FBP_FOLD_256(op, x) \
        _mm_##op##_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1))
#    define FBP_FOLD_512(op, x) \
        _mm256_##op##_pd(_mm512_castpd512_pd256(x), _mm512_extractf64x4_pd(x, 1))
typedef __m128d fbp_128;
FBP_FN real fbp_last_add(fbp_128 x) { return FBP_FOLD_128(add, x); }
FBP_FN real fbp_last_max(fbp_128 x) { return FBP_FOLD_128(max, x); }
#  else
#    define FBP_FOLD_64(op, x) _mm_cvtss_f32(_mm_##op##_ss(x, _mm_shuffle_ps(x, x, 1)))
#    define FBP_FOLD_128(op, x) _mm_##op##_ps(x, _mm_movehl_ps(x, x))
#    define FBP_FOLD_256(op, x) \
        _mm_##op##_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1))
#    define FBP_FOLD_512(op, x) \
        _mm256_##op##_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1))
typedef __m128 fbp_128;
FBP_FN real fbp_last_add(fbp_128 x) { x = FBP_FOLD_128(add, x); return FBP_FOLD_64(add, x); }
FBP_FN real fbp_last_max(fbp_128 x) { x = FBP_FOLD_128(max, x); return FBP_FOLD_64(max, x); }
#  endif
#  if defined(__AVX512F__)
FBP_FN real fbp_fold_add(vec x) {
    FBP_HALF y = FBP_FOLD_512(add, x);
    return fbp_last_add(FBP_FOLD_256(add, y));
}
FBP_FN real fbp_fold_max(vec x) {
    FBP_HALF y = FBP_FOLD_512(max, x);
    return fbp_last_max(FBP_FOLD_256(max, y));
}
#  elif defined(__AVX2__)
FBP_FN real fbp_fold_add(vec x) { return fbp_last_add(FBP_FOLD_256(add, x)); }
FBP_FN real fbp_fold_max(vec x) { return fbp_last_max(FBP_FOLD_256(max, x)); }
#  else
FBP_FN real fbp_fold_add(vec x) { return fbp_last_add(x); }
FBP_FN real fbp_fold_max(vec x) { return fbp_last_max(x); }
#  endif
#endif

/* The sum of one block of lanes, in parts of one vector each; parts are used up. */
FBP_FN real v_sum_of_block(vec *parts) {
    int i, width;
    for (width = FBP_VECTORS_PER_BLOCK / 2; width > 0; width /= 2)
        for (i = 0; i < width; i++) parts[i] = v_add(parts[i], parts[i + width]);
    return fbp_fold_add(parts[0]);
}
/* The largest lane; of a vector with NaN anything. */
FBP_FN real v_largest(vec x) { return fbp_fold_max(x); }

/* The same of a block that is zero (not -0) behind its first n <= LANES lanes: folds of nothing but
   zeros change nothing. */
FBP_FN real v_sum_of_first(vec x, ptrdiff_t n) {
#ifdef FBP_FIRST_128
    if (n <= FBP_PART) return fbp_last_add(FBP_FIRST_128(x));
#endif
    return fbp_fold_add(x);
}
/* The largest of the first n lanes, n from 1 to LANES. */
FBP_FN real v_largest_of_first(vec x, ptrdiff_t n) {
    x = v_first_or(x, n, v_set1(-(real)INFINITY));
#ifdef FBP_FIRST_128
    if (n <= FBP_PART) return fbp_last_max(FBP_FIRST_128(x));
#endif
    return fbp_fold_max(x);
}

/* Lane i everywhere. */
#if defined(__AVX512F__) && defined(FBP_FLOAT64)
FBP_FN vec v_lane(vec x, ptrdiff_t i) { return _mm512_permutexvar_pd(_mm512_set1_epi64(i), x); }
#elif defined(__AVX512F__)
FBP_FN vec v_lane(vec x, ptrdiff_t i) {
    return _mm512_permutexvar_ps(_mm512_set1_epi32((int)i), x);
}
#elif defined(__AVX2__) && defined(FBP_FLOAT64)
FBP_FN vec v_lane(vec x, ptrdiff_t i) {                 /* both halves of a double */
    __m256i halves = _mm256_set1_epi64x((long long)(((uint64_t)(2 * i + 1) << 32) | (2 * i)));
    return _mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_castpd_ps(x), halves));
}
#elif defined(__AVX2__)
FBP_FN vec v_lane(vec x, ptrdiff_t i) {
    return _mm256_permutevar8x32_ps(x, _mm256_set1_epi32((int)i));
}
#else
FBP_FN vec v_lane(vec x, ptrdiff_t i) {
    real lanes[FBP_LANES];
    memcpy(lanes, &x, sizeof x);
    return v_set1(lanes[i]);
}
#endif

/* Finiteness, read from the exponent by whole numbers: neither the mode nor what the
   compiler may think of NaN reaches it. One added to the exponent carries into the sign bit
   where the exponent is all ones, for infinities and NaN, and nowhere else. ``noted`` begins as zeros
   and collects in the sign bits of its lanes whether any x had a carry. */
#define FBP_EXPONENT_STEP ((real_bits)1 << FBP_MANTISSA_BITS)
FBP_FN vec v_note_nonfinite(vec noted, vec x) {
    vec carried = FBP_FROM_BITS(
        FBP_XOR_BITS(FBP_ADD_BITS(FBP_BITS(x), FBP_SET_BITS(FBP_EXPONENT_STEP)), FBP_BITS(x)));
    return v_or(noted, carried);
}
FBP_FN int v_all_finite(vec noted) { return FBP_SIGNS(noted) == 0; }

FBP_FN int fbp_is_finite(real x) {
    real_bits bits;
    memcpy(&bits, &x, sizeof bits);
    return (((bits + FBP_EXPONENT_STEP) ^ bits) >> (8 * sizeof bits - 1)) == 0;
}
FBP_FN int fbp_is_zero(real x) {                       /* also where a mode takes more for zero */
    real_bits bits;
    memcpy(&bits, &x, sizeof bits);
    return (real_bits)(bits << 1) == 0;
}
FBP_FN int fbp_is_finite_double(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits >> 52 & 0x7ff) != 0x7ff;
}

/* Into the second cache, or the first; p may be anything, nothing is read. */
#if !defined(FBP_NEON)
FBP_FN void v_prefetch(const real *p) { _mm_prefetch((const char *)p, _MM_HINT_T1); }
FBP_FN void v_prefetch_near(const real *p) { _mm_prefetch((const char *)p, _MM_HINT_T0); }
#elif defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>                                    /* __prefetch isn't NEON's */
FBP_FN void v_prefetch(const real *p) { __prefetch(p); }
FBP_FN void v_prefetch_near(const real *p) { __prefetch(p); }
#else
FBP_FN void v_prefetch(const real *p) { __builtin_prefetch(p, 0, 2); }
FBP_FN void v_prefetch_near(const real *p) { __builtin_prefetch(p, 0, 3); }
#endif

/* LANES vectors turned round in registers: lane j of x[i] becomes lane i of x[j]. First squares of
   16 bytes in each part of the vectors, then the parts themselves (fbp_turn_parts). */
FBP_FN void v_transpose(vec *x) {
    int i;
#if defined(FBP_NEON)
    for (i = 0; i < FBP_LANES / 2; i++) {
        vec a = x[i], b = x[i + FBP_LANES / 2];
#  ifdef FBP_FLOAT64
        x[0] = FBP_V(vzip1)(a, b), x[1] = FBP_V(vzip2)(a, b);
    }
#  else
        x[i] = FBP_V(vzip1)(a, b), x[i + 2] = FBP_V(vzip2)(a, b);
    }
    {
        vec a = x[0], b = x[1], c = x[2], d = x[3];
        x[0] = FBP_V(vzip1)(a, b), x[1] = FBP_V(vzip2)(a, b);
        x[2] = FBP_V(vzip1)(c, d), x[3] = FBP_V(vzip2)(c, d);
    }
#  endif
#else
    vec y[FBP_LANES];
#  ifdef FBP_FLOAT64
    for (i = 0; i < FBP_LANES; i += 2) {
        y[i] = FBP_V(unpacklo)(x[i], x[i + 1]);
        y[i + 1] = FBP_V(unpackhi)(x[i], x[i + 1]);
    }
#  else
    for (i = 0; i < FBP_LANES; i += 4) {
        vec a = FBP_V(unpacklo)(x[i], x[i + 1]), b = FBP_V(unpackhi)(x[i], x[i + 1]);
        vec c = FBP_V(unpacklo)(x[i + 2], x[i + 3]), d = FBP_V(unpackhi)(x[i + 2], x[i + 3]);
        y[i] = FBP_V(shuffle)(a, c, 0x44), y[i + 1] = FBP_V(shuffle)(a, c, 0xee);
        y[i + 2] = FBP_V(shuffle)(b, d, 0x44), y[i + 3] = FBP_V(shuffle)(b, d, 0xee);
    }
#  endif
    fbp_turn_parts(y, x);
#endif
}

/* The sign bit alone, and all but it. */
FBP_FN vec fbp_sign_bit(void) { return v_from_bits((real_bits)1 << (8 * sizeof(real) - 1)); }
FBP_FN vec v_abs(vec x) {
    return v_and(x, v_from_bits(((real_bits)1 << (8 * sizeof(real) - 1)) - 1));
}
FBP_FN vec v_copysign(vec magnitude, vec sign) {
    return v_or(v_abs(magnitude), v_and(sign, fbp_sign_bit()));
}

/* 2^n for a whole number n that keeps 2^n normal: n plus the bias lands in the
   low bits of a real whose spacing is one; shifted, these are the exponent. */
FBP_FN vec v_pow2(vec n) {
    const real magic = (real)(FBP_INTEGER_MAGIC * 1.5 + FBP_EXPONENT_BIAS);
    return v_mantissa_to_exponent(v_add(n, v_set1(magic)));
}

/* The biased exponent of a positive normal x, as a real. */
FBP_FN vec v_biased_exponent(vec x) {
    vec magic = v_set1((real)FBP_INTEGER_MAGIC);
    return v_sub(v_or(v_exponent_to_mantissa(x), magic), magic);
}

/* The mantissa of a positive normal x, in [1, 2). */
FBP_FN vec v_mantissa(vec x) {
    vec fraction = v_and(x, v_from_bits(((real_bits)1 << FBP_MANTISSA_BITS) - 1));
    return v_or(fraction, v_set1((real)1));
}

/* numerator / denominator as a real, computed and rounded where it stands, between fbp_mode_begin
   and fbp_mode_end: nothing that is volatile moves across them. */
FBP_FN real fbp_quotient(double numerator, double denominator) {
    volatile double n = numerator, d = denominator;
    volatile real x = (real)(n / d);
    return x;
}

FBP_FN real v_get_first(vec x) { real y; memcpy(&y, &x, sizeof y); return y; }
/* Anywhere: the arrays of kernels on the stack have no alignment of their own. */
FBP_FN void v_store_any(real *p, vec x) { memcpy(p, &x, sizeof x); }
FBP_FN vec v_load_any(const real *p) { vec x; memcpy(&x, p, sizeof x); return x; }

#endif
