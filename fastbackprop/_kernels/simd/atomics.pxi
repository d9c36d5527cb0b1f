# Loads, stores and sums that other threads see whole; see atomics.h.

cdef extern from "atomics.h" nogil:
    int64_t atomic_load "fbp_load"(int64_t* p) noexcept
    void atomic_store "fbp_store"(int64_t* p, int64_t x) noexcept
    int64_t atomic_add "fbp_add"(int64_t* p, int64_t x) noexcept     # returns the sum
    bint atomic_replace "fbp_replace"(int64_t* p, int64_t old, int64_t x) noexcept
    int64_t thread_number "fbp_thread_number"() noexcept            # from 0, in order of asking
    void pause "fbp_pause"() noexcept
    void yield_core "fbp_yield"() noexcept
    void sleep_briefly "fbp_sleep"() noexcept
