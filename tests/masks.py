"""The masks of dropout in NumPy: Philox4x32-10, one step a line."""

import numpy as np

WORD = 0xFFFFFFFF


def philox(counter, key):
    """Four words of 32 bits for a counter of four and a key of two; arrays broadcast."""
    x = [np.asarray(word, np.uint64) for word in counter]
    k = [int(word) for word in key]
    for _ in range(10):
        left, right = x[0] * np.uint64(0xD2511F53), x[2] * np.uint64(0xCD9E8D57)
        high_left, high_right = left >> np.uint64(32), right >> np.uint64(32)
        x = [
            high_right ^ x[1] ^ np.uint64(k[0]),
            right & np.uint64(WORD),
            high_left ^ x[3] ^ np.uint64(k[1]),
            left & np.uint64(WORD),
        ]
        k = [(k[0] + 0x9E3779B9) & WORD, (k[1] + 0xBB67AE85) & WORD]
    return x


def mask(seed, layer, step, row, width, rate):
    """Which units of a row stay: of each 64, unit 16 w + i has word w of counter i."""
    blocks = np.arange(-(-width // 64) * 16)
    words = philox((step & WORD, step >> 32, row, blocks), (seed, layer))
    words = np.stack([np.broadcast_to(w, blocks.shape).reshape(-1, 16) for w in words], axis=1)
    return words.reshape(-1)[:width] >= int(rate * 2**32 + 0.5)
