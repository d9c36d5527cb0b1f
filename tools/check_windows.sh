#!/usr/bin/env bash
# Shows, as far as Linux can, that Windows compiles the kernels; nothing is run, and no MSVC is
# here.
#
#   tools/check_windows.sh    0: all of it holds; 77: a part was skipped, and why; else: wrong
#
#   words     compilers' extensions stand in three headers only, where each has an MSVC branch
#   headers   these, by clang for Windows on x86-64 and aarch64: its own branch, and MSVC's
#             (without __clang__)
#   mingw     all modules compiled and linked by GCC for Windows, with the flags of setup.py
#   modules   the same C by clang as MSVC would see it: 32-bit long, _MSC_VER, MSVC's branches of
#             Cython and Python
#   tiles     the same C by clang with the flags that setup.py has for clang-cl: no sum leaves its
#             register
#
# Python's headers for Windows are those of Debian's source package: a Linux Python has only its own
# pyconfig.h.
set -euo pipefail
cd "$(dirname "$0")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
unset FASTBACKPROP_DEBUG CFLAGS CPPFLAGS LDFLAGS

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
skipped=0

step() { printf '\n== %s\n' "$*"; }
skip() { printf 'skipped: %s\n' "$*"; skipped=1; }
fail() { printf 'wrong: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >"$folder/which"; }

CLANG=$(for name in clang clang-19 clang-16 clang-14; do command -v "$name" && break; done || true)
MINGW=x86_64-w64-mingw32
KERNELS=fastbackprop/_kernels

# What cl.exe defines for setup.py's flags, against what clang defines for the same instructions: cl
# knows of no SSE4.2 and no __FMA__ (its /arch:AVX2 means FMA too), and asks for no flag before it
# takes an intrinsic.
flags_of() {
    case $1 in
        baseline) echo "-msse4.2 -mpopcnt -mcx16" ;;
        x86_64_v3) echo "-mavx2 -mfma -mbmi -mbmi2 -mf16c -mlzcnt -mmovbe" ;;
        x86_64_v4)
            echo "$(flags_of x86_64_v3) -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl" ;;
        neon) ;;
    esac
}
step "words: no extension of GCC, Clang or MSVC outside simd.h, mode.h, atomics.h and cpu_id.h"
words='__attribute__|__builtin_|__asm|\basm\b|__extension__|__typeof|__atomic_|__sync_|_mm[0-9]*_'
words+='|__m(128|256|512)|__declspec|__forceinline|_Interlocked|#pragma|__restrict|\b__int128'
if grep -rnE "$words" fastbackprop \
    --include='*.pyx' --include='*.pxi' --include='*.pxd' --include='*.h' |
    grep -vE "^($KERNELS/simd/(simd|mode|atomics)\.h|fastbackprop/_core/cpu_id\.h):"; then
    fail "the lines above hold what another compiler does not know"
fi
# Nor C's long, which Windows makes 32 bits: sizes are Py_ssize_t or int64_t.
if grep -rnE '\b(cdef|cpdef|ctypedef)( const| unsigned)* long\b|<(unsigned )?long\b' fastbackprop \
    --include='*.pyx' --include='*.pxi' --include='*.pxd'; then
    fail "long has 32 bits on Windows"
fi
echo "none"

# What Windows' SDK and MSVC's own headers would declare, as Microsoft documents it, and no more
# than is used here: _mm_*, NEON and stdint.h are clang's own. Where clang has a builtin of the
# name, another type would be an error.
mkdir "$folder/sdk" "$folder/libc"
cat >"$folder/sdk/windows.h" <<'C'
int __stdcall SwitchToThread(void);
void __stdcall Sleep(unsigned long milliseconds);
C
cat >"$folder/sdk/intrin.h" <<'C'
long long _InterlockedExchange64(long long volatile *, long long);
long long _InterlockedExchangeAdd64(long long volatile *, long long);
long long _InterlockedCompareExchange64(long long volatile *, long long, long long);
void _ReadWriteBarrier(void);
#if defined(_M_ARM64)
unsigned __int64 __ldar64(unsigned __int64 volatile *);
void __yield(void);
void __prefetch(const void *);
#define ARM64_SYSREG(op0, op1, crn, crm, op2) \
    (((op0 & 1) << 14) | ((op1 & 7) << 11) | ((crn & 15) << 7) | ((crm & 15) << 3) | (op2 & 7))
__int64 _ReadStatusReg(int);
void _WriteStatusReg(int, __int64);
#else
void __cpuid(int[4], int);
void __cpuidex(int[4], int, int);
#endif
C
cat >"$folder/sdk/complex.h" <<'C'
#pragma once
typedef struct { float _Val[2]; } _Fcomplex;
typedef struct { double _Val[2]; } _Dcomplex;
typedef struct { long double _Val[2]; } _Lcomplex;
float crealf(_Fcomplex), cimagf(_Fcomplex);
double creal(_Dcomplex), cimag(_Dcomplex);
long double creall(_Lcomplex), cimagl(_Lcomplex);
C
echo 'void *memcpy(void *to, const void *from, unsigned long long n);' >"$folder/libc/string.h"
cat >"$folder/libc/assert.h" <<'C'
void _assert(const char *, const char *, unsigned);
#define assert(x) ((void)((x) || (_assert(#x, __FILE__, __LINE__), 0)))
C
# cl.exe's view: clang's intrinsics are read first, since they ask for clang's macros; then none of
# these is left.
cat >"$folder/as_msvc.h" <<'C'
#if defined(_M_ARM64)
#  include <arm_neon.h>
#else
#  include <immintrin.h>
#  include <nmmintrin.h>
#endif
#undef __clang__
#undef __FMA__
#undef __SSE4_2__
#undef __x86_64__
#undef __aarch64__
C

step "headers: clang -fsyntax-only, targets {x86_64,aarch64}-pc-windows-msvc"
if [ -z "$CLANG" ]; then
    skip "there is no clang here (Debian: clang)."
else
    cat >"$folder/all.c" <<'C'
#if defined(AS_MSVC)
#  include "as_msvc.h"
#endif
#if defined(__GNUC__)
#  error "not what cl.exe defines"
#endif
#include "simd.h"
#include "atomics.h"
#include "cpu_id.h"
#if !defined(_MSC_VER) || !defined(_WIN32) || (defined(_M_X64) == defined(_M_ARM64))
#error "not Windows"
#endif
static const char isa[] = FBP_ISA, expected[] = EXPECTED;
typedef char the_variant_asked_for[
    sizeof isa == sizeof expected && FBP_HAS_FMA == EXPECTED_FMA ? 1 : -1];
typedef char vectors_fill_blocks[
    FBP_BLOCK % FBP_LANES == 0 && sizeof(vec) == EXPECTED_BYTES ? 1 : -1];
static double use_the_mode(double x) { /* what nobody calls would not be looked at */
    fbp_mode caller = fbp_mode_begin();
    x = fbp_mode_is_set() ? fbp_quotient(x, 2) : x;
    fbp_mode_end(caller);
    return x;
}
typedef char pointers_fit[sizeof(ptrdiff_t) == 8 && sizeof(long) == 4 ? 1 : -1];
C
    checked=0
    for set in "baseline baseline 0 16" "x86_64_v3 x86_64_v3 1 32" \
        "x86_64_v4 x86_64_v4 1 64" "neon baseline 1 16"; do
        read -r variant isa fma bytes <<<"$set"
        target=$([ "$variant" = neon ] && echo aarch64 || echo x86_64)-pc-windows-msvc
        for dtype in "" -DFBP_FLOAT64; do
            for branch in "" -DAS_MSVC; do
                for debug in "" -DFBP_DEBUG; do
                    # shellcheck disable=SC2046,SC2086
                    "$CLANG" --target="$target" -fsyntax-only -ffreestanding -Wall -Werror \
                        -Wno-unused-function -Wno-unused-variable -Wno-unused-const-variable \
                        -Wno-pragma-pack -Wno-undefined-internal -Wno-unknown-pragmas \
                        -Wno-ignored-pragmas -fms-compatibility-version=19.29 \
                        $(flags_of "$variant") $branch $dtype $debug \
                        -DEXPECTED="\"$isa\"" -DEXPECTED_FMA="$fma" -DEXPECTED_BYTES="$bytes" \
                        -I"$KERNELS/simd" -Ifastbackprop/_core -I"$folder" \
                        -isystem "$folder/sdk" -isystem "$folder/libc" "$folder/all.c" ||
                        fail "$target, $variant ${dtype:--DFBP_FLOAT32} ${debug} ${branch:+as MSVC}"
                    checked=$((checked + 1))
                done
            done
        done
    done
    echo "$checked compilations, no warning:" \
        "4 instruction sets x 2 dtypes x clang's and MSVC's branch x debug or not"
fi

step "Python's and NumPy's headers for Windows, and the generated C"
# apt with lists and sources of its own: the same mirror and release, asked for sources too.
if ! has apt-get || ! has python3; then
    skip "there is no apt-get or no python3 here: no Windows headers of Python," \
        "so no module is compiled."
    exit 77
fi
mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial" "$folder/source"
# shellcheck disable=SC2016
apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
    grep -E '/debian/? .* main$' | sort -u | sed 's/^/deb-src /' >"$folder/apt/sources.list"
private=(-qq -o "Dir::Etc::sourcelist=$folder/apt/sources.list" -o Dir::Etc::sourceparts=-
    -o "Dir::State::lists=$folder/apt/lists" -o "Dir::Cache=$folder/apt/cache"
    -o APT::Sandbox::User=root)
source=$(apt-cache depends python3-minimal 2>"$folder/log" |
    sed -n 's/.*Depends: \(python3\.[0-9]*\)-minimal$/\1/p')
if ! (cd "$folder/source" && apt-get "${private[@]}" update &&
    apt-get "${private[@]}" --download-only source "$source") \
    >"$folder/log" 2>&1; then
    skip "apt has no source package of Python here ($(tail -n 1 "$folder/log"))," \
        "so no module is compiled."
    exit 77
fi
tar -xf "$folder"/source/*.orig.tar.* -C "$folder/source" --strip-components=1 \
    --wildcards '*/Include' '*/PC/pyconfig.h'
echo "$source: $(sed -n 's/#define PY_VERSION  *//p' "$folder/source/Include/patchlevel.h")" \
    "from the source package"

python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
mapfile -t requires < <("$python" -c '
import tomllib
print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")')
"$python" -m pip install -q "${requires[@]}"
# Sizes of NumPy's that differ on Windows, as its own wheel for win_amd64 has them.
cp -r "$("$python" -c 'import numpy; print(numpy.get_include())')" "$folder/numpy"
sed -i -e 's/\(NPY_SIZEOF_LONG\) .*/\1 4/' -e 's/\(NPY_SIZEOF_LONGDOUBLE\) .*/\1 8/' \
    -e 's/\(NPY_SIZEOF_WCHAR_T\) .*/\1 2/' \
    -e 's/\(NPY_SIZEOF_COMPLEX_LONGDOUBLE\) .*/\1 16/' \
    -e 's/\(NPY_SIZEOF_OFF_T\) .*/\1 4/' -e '/NPY_HAVE_ENDIAN_H/d' \
    "$folder/numpy/numpy/_numpyconfig.h"
cp -r setup.py pyproject.toml README.md LICENSE fastbackprop "$folder/"
windows="-I$folder/source/PC -I$folder/source/Include -I$folder/numpy"

step "mingw: compile and link all modules with the flags of setup.py"
if ! has "$MINGW-gcc" || [ -z "$CLANG" ]; then
    skip "there is no $MINGW-gcc or no clang here (Debian: gcc-mingw-w64-x86-64, clang)."
else
    # setup.py is told the platform and the compiler; its own tables do the rest. The headers above
    # come first, so Linux's are never seen. MS_WIN64 is what Python's pyconfig.h knows only from
    # MSVC. No -Werror: Cython's own code may have what -Wall tells; what cuts a pointer in two is
    # an error.
    (
        cd "$folder"
        _PYTHON_HOST_PLATFORM=win-amd64 CC=$MINGW-gcc LDSHARED=true \
            CFLAGS="$windows -DMS_WIN64 -Wall -Werror=pointer-to-int-cast \
                    -Werror=int-to-pointer-cast -Werror=incompatible-pointer-types \
                    -Werror=implicit-function-declaration -Werror=overflow" \
            "$python" setup.py -q build_ext
    ) >"$folder/log" 2>&1 || { tail -n 40 "$folder/log"; fail "mingw doesn't compile it"; }
    mapfile -t objects < <(find "$folder/build" -name '*.o' | sort)
    [ ${#objects[@]} -eq 7 ] || fail "7 modules, but ${#objects[@]} objects"
    grep -E 'warning:' "$folder/log" && fail "a warning, above"
    for object in "${objects[@]}"; do
        "$MINGW-objdump" -f "$object" | grep -q 'pe-x86-64' || fail "$object isn't for Windows"
        # Linked as Windows would: Python's names from a library made for it, all others must be
        # Windows' own.
        {
            echo "LIBRARY python3.dll"
            echo EXPORTS
            "$MINGW-nm" -u "$object" | sed -nE 's/^ *U (__imp_)?(_?Py.*)/\2/p' | sort -u
        } >"$folder/python.def"
        "$MINGW-dlltool" -d "$folder/python.def" -l "$folder/libpython.a"
        "$MINGW-gcc" -shared -static-libgcc -o "$folder/module.pyd" "$object" "$folder/libpython.a"
        printf '%s: %s bytes, needs %s\n' "$(basename "$object" .o)" \
            "$(stat -c %s "$folder/module.pyd")" \
            "$("$MINGW-objdump" -p "$folder/module.pyd" | sed -n 's/.*DLL Name: //p' |
                paste -sd ' ')"
    done

    step "modules: the same C as MSVC would see it," \
        "by clang for x86_64- and aarch64-pc-windows-msvc"
    # mingw's C library takes clang for GCC while it is read; then that is no longer said, and what
    # follows (Python's, NumPy's and our headers, Cython's C) goes the ways that it has for _MSC_VER
    # alone.
    {
        printf '#define __GNUC__ 4\n#define __GNUC_MINOR__ 2\n'
        printf '#define _PID_T_\n#include <_mingw.h>\n'
        echo '#define __MINGW_IMPORT extern __declspec(dllimport)'
        printf '#include <%s.h>\n' assert ctype errno float io limits math stddef stdint stdio \
            stdlib string sys/stat sys/types time wchar
        echo '#include "as_msvc.h"'
        printf '#undef %s\n' __GNUC__ __GNUC_MINOR__ __forceinline _ReadWriteBarrier
        printf '#include <%s.h>\n' intrin complex
    } >"$folder/libc_of_mingw.h"
    sed '/as_msvc/d' "$folder/libc_of_mingw.h" >"$folder/libc_of_clang.h"
    checked=0
    while read -r target module flags; do
        dtype=$([[ $module = *float64 ]] && echo -DFBP_FLOAT64 || true)
        # The warnings that are off are of mingw's and Cython's code, or of pragmas that cl.exe
        # knows and clang doesn't.
        # shellcheck disable=SC2046,SC2086
        "$CLANG" --target="$target-pc-windows-msvc" -fsyntax-only \
            -fms-compatibility-version=19.29 -Wall -Werror -Wno-unused-function \
            -Wno-ignored-attributes -Wno-pragma-pack -Wno-unused-but-set-variable \
            -Wno-unknown-pragmas -Wno-bitwise-instead-of-logical \
            -Wno-incompatible-library-redeclaration \
            $([ "$flags" = none ] || flags_of "$flags") $dtype \
            -DNPY_NO_DEPRECATED_API=NPY_1_7_API_VERSION \
            -I"$folder" -I"$folder/sdk" $windows -I"$folder/build/include" \
            -I"$KERNELS/simd" -Ifastbackprop/_core -isystem "/usr/$MINGW/include" \
            -include libc_of_mingw.h "$folder/build/release/cython/fastbackprop/$module.c" ||
            fail "$module for $target, as MSVC would see it"
        checked=$((checked + 1))
    done <<'L'
x86_64 _core/cpu none
x86_64 _kernels/baseline_float32 baseline
x86_64 _kernels/baseline_float64 baseline
x86_64 _kernels/x86_64_v3_float32 x86_64_v3
x86_64 _kernels/x86_64_v3_float64 x86_64_v3
x86_64 _kernels/x86_64_v4_float32 x86_64_v4
x86_64 _kernels/x86_64_v4_float64 x86_64_v4
aarch64 _core/cpu none
aarch64 _kernels/baseline_float32 neon
aarch64 _kernels/baseline_float64 neon
L
    echo "$checked modules, no warning"

    step "tiles: what clang-cl makes of them, by clang for x86_64-pc-windows-msvc"
    # The wheels for Windows are built by clang-cl since of its tiles this can be said here.
    # Nobody here can look at what cl.exe makes; GCC for Windows is shown beside it.
    mkdir "$folder/clang" "$folder/gcc"
    for variant in baseline x86_64_v3 x86_64_v4; do
        for dtype in float32 float64; do
            module=${variant}_$dtype
            # shellcheck disable=SC2046,SC2086
            "$CLANG" --target=x86_64-pc-windows-msvc -c -O3 -w -fms-compatibility-version=19.29 \
                -ffp-contract=off -fwrapv -fno-math-errno -fno-trapping-math \
                $(flags_of $variant) $([ $dtype = float64 ] && echo -DFBP_FLOAT64) \
                -DNPY_NO_DEPRECATED_API=NPY_1_7_API_VERSION -I"$folder" -I"$folder/sdk" $windows \
                -I"$folder/build/include" -I"$KERNELS/simd" -isystem "/usr/$MINGW/include" -include libc_of_clang.h \
                "$folder/build/release/cython/fastbackprop/_kernels/$module.c" -o "$folder/clang/$module.o" ||
                fail "$module by clang for Windows"
            find "$folder/build" -name "$module.o" -exec cp {} "$folder/gcc/" ';'
        done
    done
    python3 tools/check_tiles.py "$folder"/clang/*.o || fail "a sum leaves its register"
    echo "and by GCC for Windows, which nobody is given:"
    python3 tools/check_tiles.py "$folder"/gcc/*.o || true
fi
[ "$skipped" = 0 ] || exit 77
