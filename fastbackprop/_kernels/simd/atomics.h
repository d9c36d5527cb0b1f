/* What threads that work together need: a few atomics, and three ways to wait.

   Loads acquire, stores release, the others do both: what a thread wrote before it
   stored or added is seen by whoever loads that value.                            */

#ifndef FBP_ATOMICS_H
#define FBP_ATOMICS_H

#include <stdint.h>

#if defined(_WIN32)
#  ifndef WIN32_LEAN_AND_MEAN
#    define WIN32_LEAN_AND_MEAN
#  endif
#  ifndef NOMINMAX
#    define NOMINMAX
#  endif
#  include <windows.h>
#else
#  include <sched.h>
#  include <time.h>
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#  include <intrin.h>
/* Not an interlocked one: who waits must not write. */
static __forceinline int64_t fbp_load(volatile int64_t *p) {
#  if defined(_M_ARM64)
    return (int64_t)__ldar64((unsigned __int64 volatile *)p);
#  else
    int64_t x = *p;
    _ReadWriteBarrier();
    return x;
#  endif
}
static __forceinline void fbp_store(volatile int64_t *p, int64_t x) {
    _InterlockedExchange64(p, x);
}
static __forceinline int64_t fbp_add(volatile int64_t *p, int64_t x) {
    return _InterlockedExchangeAdd64(p, x) + x;
}
static __forceinline int fbp_replace(volatile int64_t *p, int64_t old, int64_t x) {
    return _InterlockedCompareExchange64(p, x, old) == old;
}
#else
static inline int64_t fbp_load(volatile int64_t *p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline void fbp_store(volatile int64_t *p, int64_t x) {
    __atomic_store_n(p, x, __ATOMIC_RELEASE);
}
static inline int64_t fbp_add(volatile int64_t *p, int64_t x) {
    return __atomic_add_fetch(p, x, __ATOMIC_ACQ_REL);
}
static inline int fbp_replace(volatile int64_t *p, int64_t old, int64_t x) {
    return __atomic_compare_exchange_n(p, &old, x, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
#endif

#if defined(_MSC_VER)
#  define FBP_THREAD_LOCAL __declspec(thread)
#else
#  define FBP_THREAD_LOCAL __thread
#endif

/* Of the Python whose headers came before. */
#ifdef Py_GIL_DISABLED
#  define FBP_HAS_GIL 0
#else
#  define FBP_HAS_GIL 1
#endif

/* A number of this thread's own, 0 at first. */
static inline int64_t *fbp_of_thread(void) {
    static FBP_THREAD_LOCAL int64_t number;
    return &number;
}

#if defined(__x86_64__) || defined(_M_X64)
#  include <emmintrin.h>
#endif

/* For a few dozen cycles: another thread of this core may have them. */
static inline void fbp_pause(void) {
#if defined(__x86_64__) || defined(_M_X64)
    _mm_pause();
#elif defined(_M_ARM64) && !defined(__clang__)
    __yield();
#else
    __asm__ __volatile__("yield");
#endif
}

/* For as long as another thread wants this core. */
static inline void fbp_yield(void) {
#if defined(_WIN32)
    SwitchToThread();
#else
    sched_yield();
#endif
}

static inline void fbp_sleep(void) {
#if defined(_WIN32)
    Sleep(1);
#else
    struct timespec t = {0, 50000};
    nanosleep(&t, 0);
#endif
}

#endif
