/* CPUID and XGETBV for cpu.pyx, without asking the compiler for any instruction set. */
#ifndef FBP_CPUID_H
#define FBP_CPUID_H

#include <stdint.h>

#if defined(_M_X64) || defined(__x86_64__)
#  define FBP_X86_64 1
#  if defined(_MSC_VER) && !defined(__clang__)
#    include <intrin.h>
#  else
#    include <cpuid.h>
#  endif
#else
#  define FBP_X86_64 0
#endif

#if defined(__aarch64__) || defined(_M_ARM64)
#  define FBP_AARCH64 1
#else
#  define FBP_AARCH64 0
#endif

/* registers = EAX, EBX, ECX, EDX of this leaf; zeros where the CPU doesn't have it. */
static inline void fbp_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]) {
    registers[0] = registers[1] = registers[2] = registers[3] = 0;
#if FBP_X86_64
#  if defined(_MSC_VER) && !defined(__clang__)
    {
        int r[4];
        __cpuid(r, (int)(leaf & 0x80000000u));
        if ((uint32_t)r[0] >= leaf) {
            __cpuidex(r, (int)leaf, (int)subleaf);
            registers[0] = (uint32_t)r[0]; registers[1] = (uint32_t)r[1];
            registers[2] = (uint32_t)r[2]; registers[3] = (uint32_t)r[3];
        }
    }
#  else
    if (__get_cpuid_max(leaf & 0x80000000u, 0) >= leaf)
        __cpuid_count(leaf, subleaf, registers[0], registers[1], registers[2], registers[3]);
#  endif
#else
    (void)leaf; (void)subleaf;
#endif
}

/* The register states that the operating system saves; call only where OSXSAVE is set. */
static inline uint64_t fbp_xgetbv(void) {
#if !FBP_X86_64
    return 0;
#elif defined(_MSC_VER) && !defined(__clang__)
    return _xgetbv(0);
#else
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
#endif
}

#endif
