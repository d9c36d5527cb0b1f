#!/usr/bin/env bash
# The tests under the sanitizers: what a test that passes may still have done to memory.
#
#   tools/sanitize.sh [asan] [tsan] [memcheck]      all of them without a word
#
#   asan      the test suite under AddressSanitizer and UndefinedBehaviorSanitizer
#   tsan      the tests with threads under ThreadSanitizer, once that has found a planted race
#   memcheck  the kernels of baseline and v3 under valgrind, in scratch that nobody has written
#
# 0: nothing was found; 77: a tool is missing, and which; else something was found.
# SANITIZE_FOLDER=folder keeps what was built there, and takes what is there; without it all is made
# in a folder of its own and removed.
set -euo pipefail
cd "$(dirname "$0")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
unset FASTBACKPROP_DEBUG FASTBACKPROP_KERNELS PYTHONPATH CFLAGS LDFLAGS LD_PRELOAD

root=$PWD
parts=("${@:-asan}")
[ $# -gt 0 ] || parts=(asan tsan memcheck)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
folder=${SANITIZE_FOLDER:-$scratch}
mkdir -p "$folder"
python=$folder/venv/bin/python

step() { printf '\n== %s\n' "$*"; }
missing() { printf 'skipped: %s\n' "$*"; exit 77; }
needs() { command -v "$1" >"$scratch/which" || missing "there is no $1 here (Debian: $2)."; }

# $1: the tool's name, the others: flags behind those of setup.py, whose -O3 -g0 they overrule. -g1
# is lines without variables: with these, always-inlined kernels take minutes each to compile.
build() {
    if ! [ -e "$folder/venv" ]; then
        python3 -m venv "$folder/venv"
        mapfile -t requires < <("$python" -c '
import tomllib
file = tomllib.load(open("pyproject.toml", "rb"))
print(*file["build-system"]["requires"], *file["project"]["dependencies"],
      *file["project"]["optional-dependencies"]["test"], sep="\n")')
        "$python" -m pip install -q "${requires[@]}"
    fi
    if ! [ -e "$folder/$1" ]; then
        mkdir "$scratch/$1"
        cp -r setup.py pyproject.toml MANIFEST.in README.md LICENSE fastbackprop "$scratch/$1/"
        printf '#!/bin/sh\nexec gcc "$@" -g1 -fno-omit-frame-pointer %s\n' "${*:2}" \
            >"$scratch/$1/cc"
        chmod +x "$scratch/$1/cc"
        (
            cd "$scratch/$1"
            CC=$PWD/cc LDSHARED="$PWD/cc -shared" "$python" -m pip wheel \
                -q --no-build-isolation --no-deps -w "$folder/$1" .
        )
    fi
    "$python" -m pip install -q --no-deps --force-reinstall "$folder/$1"/*.whl
}

# $1: the tool; the others: what pytest shall run. Reports go to files, since pytest takes stderr;
# and pytest's own handler of crashes stays away, or the report would be of what it does.
run_tests() {
    local status=0
    rm -f "$scratch/$1-report".*
    env HYPOTHESIS_STORAGE_DIRECTORY="$scratch/hypothesis" "${environment[@]}" "${prefix[@]}" \
        "$python" -m pytest -q -p no:cacheprovider -p no:faulthandler --durations=5 \
        "${@:2}" || status=$?
    if compgen -G "$scratch/$1-report.*" >"$scratch/reports"; then
        xargs -d '\n' head -n 60 <"$scratch/reports"
        echo "$(wc -l <"$scratch/reports") processes reported something"
        status=1
    fi
    [ "$status" = 0 ] || exit "$status"
}

# Tests by name that can't work under a tool, as an expression for pytest's -k; each array has the
# reasons.
without() { local IFS='|'; local names="$*"; echo "not (${names//|/ or })"; }

asan() {
    step "asan: AddressSanitizer and UndefinedBehaviorSanitizer over the test suite"
    needs gcc gcc
    build asan -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined
    # The interpreter isn't built with them, so they are loaded before it; malloc is ASan's for
    # every object. No use after return: GCC 12 puts the stack frames that it moves for that at 32
    # bytes where AVX-512's vectors on them need 64 (GCC's bug 110027), and the first aligned store
    # ends the process. No leaks: CPython and NumPy leave much to the end of the process, on
    # purpose. tests/kernels/test_memory.py counts ours.
    local options="log_path=$scratch/asan-report:log_exe_name=1"
    environment=(
        LD_PRELOAD="$(gcc -print-file-name=libasan.so):$(gcc -print-file-name=libubsan.so)"
        ASAN_OPTIONS="detect_leaks=0:detect_stack_use_after_return=0:$options"
        UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1:$options" PYTHONMALLOC=malloc
    )
    prefix=()
    local not_here=(
        test_the_kernels_allocate_nothing_for_a_batch     # preloads a malloc, as ASan does
        test_ctrl_c_ends_a_fit_soon                       # in 0.2 s, and here steps are slower
    )
    run_tests asan -k "$(without "${not_here[@]}")"
}

tsan() {
    step "tsan: ThreadSanitizer over the tests with threads"
    needs gcc gcc
    build tsan -O1 -fsanitize=thread
    # Only the kernels are built with it. Of Python and NumPy it sees locks, which order what the
    # kernels do, and what they hand to the C library (memcpy, free), which is theirs: reports of
    # that alone are left out by the first option.
    cat >"$scratch/suppressions" <<'S'
# CPython's own: it reads and writes these without a lock, as its authors mean it.
race:^take_gil$
race:^drop_gil$
S
    local options="suppressions=$scratch/suppressions:log_path=$scratch/tsan-report"
    environment=(
        LD_PRELOAD="$(gcc -print-file-name=libtsan.so)"
        TSAN_OPTIONS="ignore_noninstrumented_modules=1:die_after_fork=0:exitcode=66:$options"
    )
    # Its shadow memory has a fixed place, where newer kernels' random addresses may lie.
    prefix=()
    if setarch "$(uname -m)" -R true 2>"$scratch/log"; then prefix=(setarch "$(uname -m)" -R); fi

    # Does it see anything at all here? Two Python threads, outside of the GIL, add to one number
    # for 0.1 s each, and begin together: a race; with the kernels' own atomics there is none.
    cat >"$scratch/planted.c" <<'C'
#include "atomics.h"
static volatile int64_t n;
void racing(void) { int i; for (i = 0; i < 20; i++) { n += 1; fbp_sleep(); usleep(5000); } }
void ordered(void) {
    int i;
    for (i = 0; i < 20; i++) { fbp_add(&n, 1); fbp_sleep(); usleep(5000); }
}
C
    gcc -include unistd.h -O1 -g -fsanitize=thread -shared -fPIC -Ifastbackprop/_kernels/simd \
        -o "$scratch/planted.so" "$scratch/planted.c"
    local name status
    for name in racing ordered; do
        status=0
        env "${environment[@]}" "${prefix[@]}" \
            "$python" - "$scratch/planted.so" "$name" <<'P' || status=$?
import ctypes, sys, threading
function = getattr(ctypes.CDLL(sys.argv[1]), sys.argv[2])
threads = [threading.Thread(target=function) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
P
        if [ "$name" = racing ] &&
            { [ "$status" != 66 ] || ! grep -q 'data race' "$scratch"/tsan-report.*; }; then
            echo "wrong: the planted race was not found (status $status)" && exit 1
        elif [ "$name" = ordered ] && [ "$status" != 0 ]; then
            cat "$scratch"/tsan-report.* &&
                echo "wrong: a race was found where atomics add" && exit 1
        fi
        rm -f "$scratch"/tsan-report.*
    done
    echo "the planted race was found, and none where the kernels' atomics add"

    local not_here=(
        test_predicting_from_a_model_in_training          # is a race, as documented
        test_a_hundred_forks_train                        # TSan follows none into a forked child
        test_processes_of_joblib                          # likewise
        test_ctrl_c_ends_a_fit_with_threads               # TSan delays a signal to a call of libc
    )
    run_tests tsan tests/threads --ignore tests/threads/test_interrupt.py -k "$(without "${not_here[@]}")"
    run_tests tsan tests/predict/test_predict.py -k eight_threads
}

memcheck() {
    step "memcheck: the kernels of baseline and v3 under valgrind"
    needs gcc gcc
    needs valgrind valgrind
    build memcheck
    # valgrind's CPU has no AVX-512, so the variants are those that it runs. The tests are
    # tests/kernels/test_kernels.py with fewer sizes (one below, at and above each width of vectors
    # and tiles: an instruction takes 30 times as long here), and with scratch that nobody has
    # written in place of NaN: only then memcheck sees what is read too early.
    cat >"$scratch/kernels.py" <<'P'
import sys, time
import numpy as np
import fastbackprop as fb
import reference, test_kernels as t
from fastbackprop._core.buffers import aligned_empty

t.SIZES = (1, 3, 8, 17, 49)
unwritten = aligned_empty

class Scratch(reference.Kernels):
    def spoiled(self, size):
        return aligned_empty(size, self.dtype)
    def spoil_scratch(self, capacity):
        fence = super().spoil_scratch(capacity)
        fence.fill(np.nan)
        return fence

t.Kernels = Scratch
assert sorted(reference.VARIANTS) == ["baseline", "x86_64_v3"], reference.VARIANTS
variants = sys.argv[1:] or reference.VARIANTS
for variant in variants:
    for dtype in reference.DTYPES:
        start = time.monotonic()
        t.test_predict_and_forward_agree_with_the_twin_for_all_sizes(variant, dtype)
        t.test_backward_agrees_with_the_twin_for_all_sizes(variant, dtype)
        t.test_fused_step_agrees_with_the_twin_for_all_sizes(variant, dtype)
        t.test_evaluate_and_predict_agree_with_the_twin_across_blocks_of_rows(variant, dtype)
        t.test_first_nonfinite_finds_every_place_in_every_size(variant, dtype)
        t.test_shuffle_is_fisher_yates_with_one_word_a_place(variant, dtype)
        for optimizer in t.OPTIMIZERS:
            t.test_updates_agree_with_the_twin_over_several_steps(variant, dtype, optimizer)
        t.test_training_shuffled_with_a_short_last_batch_follows_the_twin(
            variant, dtype, "nesterov")
        outputs = ((3, "softmax", "cross_entropy"), (9, "tanh", "mean_squared_error"))
        for n_out, last, loss in outputs:
            model = fb.mlp([5, 17, n_out], activation="sigmoid", output_activation=last,
                           seed=0, dtype=dtype)
            X, y = np.eye(7, 5), np.arange(7) % 3 if last == "softmax" else np.ones((7, n_out))
            v = [(layer.weight, layer.bias) for layer in model.layers]
            found = [model.jacobian(X), model.input_gradient(X, output=1)]
            found += model.sample_gradients(X, y, loss)
            found += model.hessian_vector_product(X, y, loss, v)
            assert all(np.isfinite(part).all() for x in found for part in x)  # who reads is seen
        print(f"{variant} {dtype}: {time.monotonic() - start:.0f} s", flush=True)
P
    # CPython multiplies a digit that an int of zero doesn't have by its size, 0
    # (_PyLong_FromByteArray), and from then on valgrind doubts that object's address wherever
    # CPython counts its references. Instructions of CPython's own are left out for that; those of
    # the kernels, and of NumPy, which compares what the kernels wrote, are not. The loader compares
    # names 8 bytes at a time, over their end (glibc's strncmp).
    local kind object
    for kind in Cond Value8 Addr8; do
        for object in '*/libpython3*' '*/bin/python3*' '*/ld-linux*'; do
            [[ $kind:$object = Addr8:*python* ]] ||
                printf '{\n   not ours\n   Memcheck:%s\n   obj:%s\n}\n' "$kind" "$object"
        done
    done >"$scratch/not-ours.supp"
    # No leaks, as for asan. For where a value comes from that memcheck complains of: add
    # --track-origins=yes.
    local variant status=0
    for variant in baseline x86_64_v3; do
        PYTHONMALLOC=malloc PYTHONPATH=$root/tests:$root/tests/kernels \
            FASTBACKPROP_KERNELS=$variant OPENBLAS_NUM_THREADS=1 \
            valgrind -q --error-exitcode=99 --leak-check=no --num-callers=20 \
            --suppressions="$scratch/not-ours.supp" \
            "$python" "$scratch/kernels.py" "$variant" || status=$?
        [ "$status" = 0 ] || exit "$status"
    done
}

for part in "${parts[@]}"; do
    case $part in
        asan | tsan | memcheck) ;;
        *) echo "sanitize.sh: asan, tsan or memcheck, got '$part'." >&2; exit 2 ;;
    esac
done
for part in "${parts[@]}"; do
    SECONDS=0
    "$part"
    echo "$part: nothing found, $SECONDS s"
done
