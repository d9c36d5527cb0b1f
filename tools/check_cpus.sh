#!/usr/bin/env bash
# Proves that older CPUs get kernels that they can run, or one clear sentence, and never an
# illegal instruction: the installed package under qemu, which imitates one CPU after another.
#
#     tools/check_cpus.sh [PYTHON]
#
# For x86-64 Linux with qemu-user. PYTHON has the package and pytest installed; without it a
# virtual environment is made and the package built. qemu knows AVX2 and FMA but no AVX-512 (7.2,
# as in Debian 12): of x86_64_v4 this proves only that it isn't picked. Exits with 77 if skipped.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
unset FASTBACKPROP_DEBUG FASTBACKPROP_KERNELS FASTBACKPROP_NUM_THREADS PYTHONPATH

skip() { echo "skipped: $*" >&2; exit 77; }
[ "$(uname -sm)" = "Linux x86_64" ] || skip "it needs x86-64 Linux, this is $(uname -sm)."
type -P qemu-x86_64 >/dev/null || skip "it needs qemu-x86_64, from Debian's qemu-user."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=
if [ $# -gt 0 ]; then
    python=$(type -P "$1") ||
        { echo "check_cpus.sh: PYTHON must be a program, got '$1'." >&2; exit 2; }
fi
[ -z "$python" ] || python=$(realpath -s "$python")
cd "$(dirname "$0")/.."
if [ -z "$python" ]; then
    # A copy, so that no build folder is left in the checkout.
    mkdir "$folder/source"
    git ls-files -z setup.py pyproject.toml MANIFEST.in README.md LICENSE fastbackprop |
        xargs -0 cp --parents -t "$folder/source"
    python3 -m venv "$folder/venv"
    python=$folder/venv/bin/python
    "$python" -m pip install -q "$folder/source" pytest
fi

# NumPy's OpenBLAS takes AVX2 for a promise of FMA and dies on a CPU without; the tests compare
# with NumPy's products, so it is told to use its kernels for the oldest CPU that NumPy runs on.
export OPENBLAS_CORETYPE=Nehalem

# What the tests start by sys.executable must run under qemu too, or it would run on the real
# CPU. Python takes argv[0] for its executable, and finds its environment beside a real one.
real=$("$python" -c "import sys; print(sys.executable)")
mkdir -p "$folder/qemu/bin"
"$python" -c "import sys; print('home =', sys.base_prefix + '/bin')" >"$folder/qemu/pyvenv.cfg"
ln -s "$("$python" -c "import sys; print(sys.prefix)")/lib" "$folder/qemu/lib"
cat >"$folder/qemu/bin/python" <<EOF
#!/bin/sh
exec qemu-x86_64 -0 "\$0" "$real" "\$@"
EOF
chmod +x "$folder/qemu/bin/python"
qemu=$folder/qemu/bin/python

on() { # CPU COMMAND ...: without what qemu says of features of a kernel's, like PCID
    QEMU_CPU=$1 "${@:2}" 2> >(grep -v "warning: TCG doesn't support requested feature" >&2)
}
fail() { echo "WRONG: $*"; exit 1; }

while read -r cpu variant why; do
    printf '\n== %s: %s, %s\n' "$cpu" "$variant" "$why"
    got=$(on "$cpu" "$qemu" -c "import fastbackprop as fb; print(fb.kernel_info()['variant'])")
    [ "$got" = "$variant" ] || fail "$got is picked"
    echo "picked: $got"
    on "$cpu" "$qemu" -m pytest -q -p no:cacheprovider -k "$variant" \
        tests/kernels/test_kernels.py tests/kernels/test_golden.py
    for other in x86_64_v3 x86_64_v4; do
        [ $other != "$variant" ] || continue
        words=$(FASTBACKPROP_KERNELS=$other on "$cpu" "$qemu" \
            -c "import fastbackprop; fastbackprop.kernel_info()" 2>&1 | tail -n 1) || true
        case $words in
            "ImportError: FASTBACKPROP_KERNELS=$other needs "*) echo "forced: $words" ;;
            *) fail "$other, forced, isn't refused: $words" ;;
        esac
    done
done <<'EOF'
Haswell x86_64_v3 the first with AVX2 and FMA
Nehalem baseline the first with all of x86-64-v2
Haswell,-fma baseline since AVX2 alone isn't enough, as on some of VIA's
Haswell,-xsave baseline since the system doesn't save the registers of AVX
EOF

printf '\n== core2duo: an ImportError, for it has no SSE4 and no POPCNT\n'
# NumPy itself, if built for x86-64-v2, dies here; our check has to come first.
code=0
on core2duo "$qemu" -c "import numpy" >"$folder/log" 2>&1 || code=$?
echo "import numpy, for comparison:" \
    "exit code $code$([ $code != 132 ] || echo ', an illegal instruction')"
if words=$(on core2duo "$qemu" -c "import fastbackprop" 2>&1); then fail "it is imported"; fi
words=$(tail -n 1 <<<"$words")
case $words in
    "ImportError: fastbackprop needs at least x86-64-v2"*"lacks popcnt, sse4_1, sse4_2.")
        echo "$words" ;;
    *) fail "$words" ;;
esac
