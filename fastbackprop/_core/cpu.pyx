"""What this CPU and this operating system support.

The names are those of Linux's /proc/cpuinfo, the bits those of Intel's and AMD's
manuals (CPUID leaves 1, 7 and 0x80000001; XCR0). A feature counts only if the
operating system saves the registers it needs: the CPU alone doesn't decide.
"""

from libc.stdint cimport uint32_t, uint64_t

cdef extern from "cpu_id.h" nogil:
    bint IS_X86_64 "FBP_X86_64"
    bint IS_AARCH64 "FBP_AARCH64"
    void fbp_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t* registers)
    uint64_t fbp_xgetbv()

# name: (leaf, index of the register in EAX EBX ECX EDX, bit, what must be saved)
cdef dict BITS = {
    "sse3": (1, 2, 0, ""), "ssse3": (1, 2, 9, ""), "cx16": (1, 2, 13, ""),
    "sse4_1": (1, 2, 19, ""), "sse4_2": (1, 2, 20, ""), "popcnt": (1, 2, 23, ""),
    "lahf_lm": (0x80000001, 2, 0, ""),
    "fma": (1, 2, 12, "ymm"), "movbe": (1, 2, 22, ""),
    "avx": (1, 2, 28, "ymm"), "f16c": (1, 2, 29, "ymm"), "avx2": (7, 1, 5, "ymm"),
    "bmi1": (7, 1, 3, ""), "bmi2": (7, 1, 8, ""), "abm": (0x80000001, 2, 5, ""),
    "avx512f": (7, 1, 16, "zmm"), "avx512dq": (7, 1, 17, "zmm"), "avx512cd": (7, 1, 28, "zmm"),
    "avx512bw": (7, 1, 30, "zmm"), "avx512vl": (7, 1, 31, "zmm"),
}


def features():
    """The names of all known features that can be used here.

    Returns
    -------
    frozenset of str
        For instance ``{"sse4_2", "avx2", "fma", ...}``; ``{"neon"}`` on aarch64.
    """
    cdef uint32_t registers[4]
    cdef uint64_t saved = 0
    if IS_AARCH64:
        return frozenset({"neon"})
    if not IS_X86_64:
        return frozenset()
    fbp_cpuid(1, 0, registers)
    if registers[2] >> 27 & 1:                       # OSXSAVE: XGETBV may be asked
        saved = fbp_xgetbv()
    states = {"": True, "ymm": saved & 0x6 == 0x6, "zmm": saved & 0xe6 == 0xe6}
    found = set()
    for name, (leaf, index, bit, state) in BITS.items():
        fbp_cpuid(leaf, 0, registers)
        if registers[<int>index] >> <int>bit & 1 and states[state]:
            found.add(name)
    return frozenset(found)


def second_cache():
    """Bytes of a core's second cache (leaf 0x80000006 of CPUID); 0 where the CPU doesn't say."""
    cdef uint32_t registers[4]
    if not IS_X86_64:
        return 0
    fbp_cpuid(0x80000000, 0, registers)
    if registers[0] < 0x80000006:
        return 0
    fbp_cpuid(0x80000006, 0, registers)
    return (registers[2] >> 16) * 1024
