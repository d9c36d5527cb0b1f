# Random words that depend on a key and a counter alone; see philox.h.

cdef extern from "philox.h" nogil:
    void mask_row "fbp_mask_row"(
        uint32_t key_0, uint32_t key_1, uint64_t step, uint32_t row, uint32_t threshold,
        real scale, real* mask, Py_ssize_t width) noexcept
