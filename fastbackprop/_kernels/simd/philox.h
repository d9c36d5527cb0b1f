/* Random words by counting: Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011, "Parallel random
   numbers: as easy as 1, 2, 3"). Word after word depends on a key and a counter alone, so who draws
   what, and in which order, doesn't matter. Whole numbers only: the same bits everywhere. */
#ifndef FBP_PHILOX_H
#define FBP_PHILOX_H

#include "simd.h"

#define FBP_COUNTERS 16                          /* drawn together: lanes for the compiler */

/* words[w][i] = word w of the counter (step, row, block + i). */
static inline void fbp_philox(
    uint32_t key_0, uint32_t key_1, uint64_t step, uint32_t row, uint32_t block,
    uint32_t words[4][FBP_COUNTERS])
{
    int i, round;
    for (i = 0; i < FBP_COUNTERS; i++) {
        words[0][i] = (uint32_t)step;
        words[1][i] = (uint32_t)(step >> 32);
        words[2][i] = row;
        words[3][i] = block + (uint32_t)i;
    }
    for (round = 0; round < 10; round++) {
        for (i = 0; i < FBP_COUNTERS; i++) {
            uint64_t left = (uint64_t)0xD2511F53u * words[0][i];
            uint64_t right = (uint64_t)0xCD9E8D57u * words[2][i];
            words[0][i] = (uint32_t)(right >> 32) ^ words[1][i] ^ key_0;
            words[1][i] = (uint32_t)right;
            words[2][i] = (uint32_t)(left >> 32) ^ words[3][i] ^ key_1;
            words[3][i] = (uint32_t)left;
        }
        key_0 += 0x9E3779B9u;
        key_1 += 0xBB67AE85u;
    }
}

/* A row's mask: ``scale`` for units that stay, 0 for those whose word is below the threshold. Of
   each 64 units, unit 16 w + i takes word w of counter i. */
static inline void fbp_mask_row(
    uint32_t key_0, uint32_t key_1, uint64_t step, uint32_t row, uint32_t threshold, real scale,
    real *mask, Py_ssize_t width)
{
    uint32_t words[4][FBP_COUNTERS];
    uint32_t block = 0;
    Py_ssize_t start, left;
    int i, n, w;
    for (start = 0; start < width; start += 4 * FBP_COUNTERS) {
        fbp_philox(key_0, key_1, step, row, block, words);
        block += FBP_COUNTERS;
        for (w = 0; w < 4; w++) {
            left = width - start - w * FBP_COUNTERS;
            n = left < FBP_COUNTERS ? (int)left : FBP_COUNTERS;
            for (i = 0; i < n; i++)
                mask[start + w * FBP_COUNTERS + i] = words[w][i] >= threshold ? scale : (real)0;
        }
    }
}

#endif
