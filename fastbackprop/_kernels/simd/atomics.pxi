# Loads, stores and sums that other threads see whole; see atomics.h.

cdef extern from "atomics.h" nogil:
    enum:
        HAS_GIL "FBP_HAS_GIL"
    int64_t atomic_load "fbp_load"(int64_t* p) noexcept
    void atomic_store "fbp_store"(int64_t* p, int64_t x) noexcept
    int64_t atomic_add "fbp_add"(int64_t* p, int64_t x) noexcept     # returns the sum
    bint atomic_replace "fbp_replace"(int64_t* p, int64_t old, int64_t x) noexcept
    int64_t* number_of_thread "fbp_of_thread"() noexcept             # its own, 0 at first
    void pause "fbp_pause"() noexcept
    void yield_core "fbp_yield"() noexcept
    void sleep_briefly "fbp_sleep"() noexcept
