/* How the processor rounds, for as long as a call of the kernels lasts.

   Each thread has a control register by which results depend on whoever set it last:
   fesetround, torch.set_flush_denormal, a library linked with -ffast-math. Whatever computes
   in floating point stands between fbp_mode_begin and fbp_mode_end, on each thread that takes part:
   begin sets round to nearest, subnormal numbers as they are and no traps; end puts
   back the caller's register, with the flags (inexact, overflow ...) that it had.

   Compilers know nothing of such registers. They don't move loads and stores across
   begin and end; but arithmetic on locals they may, so that what is made of
   arguments alone goes through fbp_quotient of simd.h.                              */

#ifndef FBP_MODE_H
#define FBP_MODE_H

#include <stdint.h>

#if defined(_MSC_VER) && !defined(__clang__)
#  include <intrin.h>
#  define FBP_MODE_FN static __forceinline
#  define FBP_NO_MOVES() _ReadWriteBarrier()
#else
#  define FBP_MODE_FN static inline __attribute__((always_inline))
#  define FBP_NO_MOVES() __asm__ __volatile__("" ::: "memory")
#endif

typedef struct {
    uint64_t control, flags;                           /* x86-64 has both in one */
} fbp_mode;

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#define FBP_MODE 0x1f80u                               /* all exceptions masked, no other bit */
#define FBP_MODE_FLAGS 0x3fu                           /* what arithmetic sets by itself */

FBP_MODE_FN int fbp_mode_is_set(void) { return (_mm_getcsr() & ~FBP_MODE_FLAGS) == FBP_MODE; }
FBP_MODE_FN fbp_mode fbp_mode_begin(void) {
    fbp_mode caller;
    FBP_NO_MOVES();
    caller.control = _mm_getcsr();
    caller.flags = 0;
    if ((caller.control & ~FBP_MODE_FLAGS) != FBP_MODE) _mm_setcsr(FBP_MODE);
    FBP_NO_MOVES();
    return caller;
}
FBP_MODE_FN void fbp_mode_end(fbp_mode caller) {
    FBP_NO_MOVES();
    _mm_setcsr((unsigned)caller.control);
    FBP_NO_MOVES();
}

#elif defined(__aarch64__) || defined(_M_ARM64)
#  if defined(_MSC_VER) && !defined(__clang__)
#    define FBP_READ(name, x) ((x) = (uint64_t)_ReadStatusReg(FBP_##name))
#    define FBP_WRITE(name, x) _WriteStatusReg(FBP_##name, (__int64)(x))
#    define FBP_FPCR ARM64_SYSREG(3, 3, 4, 4, 0)
#    define FBP_FPSR ARM64_SYSREG(3, 3, 4, 4, 1)
#  else
#    define FBP_READ(name, x) __asm__ __volatile__("mrs %0, " #name : "=r"(x))
#    define FBP_WRITE(name, x) __asm__ __volatile__("msr " #name ", %0" : : "r"(x))
#  endif

FBP_MODE_FN int fbp_mode_is_set(void) {
    uint64_t control;
    FBP_READ(FPCR, control);
    return control == 0;
}
FBP_MODE_FN fbp_mode fbp_mode_begin(void) {
    fbp_mode caller;
    FBP_NO_MOVES();
    FBP_READ(FPCR, caller.control);
    FBP_READ(FPSR, caller.flags);
    if (caller.control != 0) FBP_WRITE(FPCR, (uint64_t)0);
    FBP_NO_MOVES();
    return caller;
}
FBP_MODE_FN void fbp_mode_end(fbp_mode caller) {
    FBP_NO_MOVES();
    FBP_WRITE(FPSR, caller.flags);
    if (caller.control != 0) FBP_WRITE(FPCR, caller.control);
    FBP_NO_MOVES();
}
#endif

#endif
