/* Random words by counting: Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random
   numbers: as easy as 1, 2, 3"). Word after word depends on a key and a counter alone, so who draws
   what, and in which order, doesn't matter. Whole numbers only: the same bits everywhere. */
#ifndef FBP_PHILOX_H
#define FBP_PHILOX_H

#include "simd.h"

#define FBP_COUNTERS 16                          /* drawn together */

/* Vectors of words, each in 64 bits, of which the upper half may hold anything. */
#if defined(__AVX512F__)
typedef __m512i fbp_words;
#define FBP_WORDS 8
#define w_set1(x) _mm512_set1_epi64((long long)(x))
#define w_multiply(a, b) _mm512_mul_epu32(a, b)  /* of the lower halves: 64 bits */
#define w_upper(a) _mm512_srli_epi64(a, 32)
#define w_xor(a, b) _mm512_xor_si512(a, b)
#define w_load(p) _mm512_loadu_si512((const void *)(p))
#define w_store_lower(p, a) _mm256_storeu_si256((__m256i *)(p), _mm512_cvtepi64_epi32(a))
#elif defined(__AVX2__)
typedef __m256i fbp_words;
#define FBP_WORDS 4
#define w_set1(x) _mm256_set1_epi64x((long long)(x))
#define w_multiply(a, b) _mm256_mul_epu32(a, b)
#define w_upper(a) _mm256_srli_epi64(a, 32)
#define w_xor(a, b) _mm256_xor_si256(a, b)
#define w_load(p) _mm256_loadu_si256((const __m256i *)(p))
#define w_store_lower(p, a) _mm_storeu_si128((__m128i *)(p), _mm256_castsi256_si128( \
    _mm256_permutevar8x32_epi32(a, _mm256_set_epi32(0, 0, 0, 0, 6, 4, 2, 0))))
#elif defined(__SSE4_2__) || defined(_M_X64)
typedef __m128i fbp_words;
#define FBP_WORDS 2
#define w_set1(x) _mm_set1_epi64x((long long)(x))
#define w_multiply(a, b) _mm_mul_epu32(a, b)
#define w_upper(a) _mm_srli_epi64(a, 32)
#define w_xor(a, b) _mm_xor_si128(a, b)
#define w_load(p) _mm_loadu_si128((const __m128i *)(p))
#define w_store_lower(p, a) _mm_storel_epi64((__m128i *)(p), _mm_shuffle_epi32(a, 0x88))
#else
typedef uint64_t fbp_words;
#define FBP_WORDS 1
#define w_set1(x) ((uint64_t)(x))
#define w_multiply(a, b) ((uint64_t)(uint32_t)(a) * (uint32_t)(b))
#define w_upper(a) ((a) >> 32)
#define w_xor(a, b) ((a) ^ (b))
#define w_load(p) (*(p))
#define w_store_lower(p, a) (*(p) = (uint32_t)(a))
#endif

/* words[w][i] = word w of the counter (step, row, block + i). */
static inline void fbp_philox(
    uint32_t key_0, uint32_t key_1, uint64_t step, uint32_t row, uint32_t block,
    uint32_t words[4][FBP_COUNTERS])
{
    const fbp_words left_factor = w_set1(0xD2511F53u), right_factor = w_set1(0xCD9E8D57u);
    fbp_words x_0, x_1, x_2, x_3, left, right;
    uint64_t blocks[FBP_COUNTERS];
    uint32_t k_0, k_1;
    int i, round;
    for (i = 0; i < FBP_COUNTERS; i++)
        blocks[i] = (uint32_t)(block + (uint32_t)i);
    for (i = 0; i < FBP_COUNTERS; i += FBP_WORDS) {
        x_0 = w_set1((uint32_t)step);
        x_1 = w_set1((uint32_t)(step >> 32));
        x_2 = w_set1(row);
        x_3 = w_load(blocks + i);
        k_0 = key_0;
        k_1 = key_1;
        for (round = 0; round < 10; round++) {
            left = w_multiply(x_0, left_factor);
            right = w_multiply(x_2, right_factor);
            x_0 = w_xor(w_xor(w_upper(right), x_1), w_set1(k_0));
            x_2 = w_xor(w_xor(w_upper(left), x_3), w_set1(k_1));
            x_1 = right;
            x_3 = left;
            k_0 += 0x9E3779B9u;
            k_1 += 0xBB67AE85u;
        }
        w_store_lower(words[0] + i, x_0);
        w_store_lower(words[1] + i, x_1);
        w_store_lower(words[2] + i, x_2);
        w_store_lower(words[3] + i, x_3);
    }
}

/* By the bits of the numbers, without a branch, which random words would mislead. */
static inline void fbp_mask_of(
    const uint32_t *words, uint32_t threshold, real scale, real *mask, Py_ssize_t n)
{
    real_bits bits[FBP_COUNTERS], of_scale;
    int i;
    memcpy(&of_scale, &scale, sizeof(real));
    for (i = 0; i < FBP_COUNTERS; i++)
        bits[i] = of_scale & ((real_bits)(words[i] < threshold) - 1);
    if (n >= FBP_COUNTERS)
        memcpy(mask, bits, sizeof(bits));
    else if (n > 0)
        memcpy(mask, bits, (size_t)n * sizeof(real));
}

/* A row's mask: ``scale`` for units that stay, 0 for those whose word is below the threshold. Of
   each 64 units, unit 16 w + i takes word w of counter i. */
static inline void fbp_mask_row(
    uint32_t key_0, uint32_t key_1, uint64_t step, uint32_t row, uint32_t threshold, real scale,
    real *mask, Py_ssize_t width)
{
    uint32_t words[4][FBP_COUNTERS];
    uint32_t block = 0;
    Py_ssize_t start, at;
    int w;
    for (start = 0; start < width; start += 4 * FBP_COUNTERS) {
        fbp_philox(key_0, key_1, step, row, block, words);
        block += FBP_COUNTERS;
        for (w = 0; w < 4; w++) {
            at = start + w * FBP_COUNTERS;
            fbp_mask_of(words[w], threshold, scale, mask + at, width - at);
        }
    }
}

#endif
