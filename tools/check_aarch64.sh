#!/usr/bin/env bash
# Proves the NEON kernels on a machine that has none: builds the wheel for aarch64 with
# a cross compiler, runs its tests under qemu, and compares the digests of trainings,
# bit for bit, with those of the x86-64 kernels that this machine runs itself.
#
#     tools/check_aarch64.sh [FOLDER]
#
# For Debian, with gcc-aarch64-linux-gnu and qemu-user. Without FOLDER everything is in a
# temporary one; a FOLDER keeps the downloads for the next time. PYTHON: a Python 3.11
# with headers (python3.11). CPUS: what qemu imitates ("max cortex-a72"); on the first all the
# tests run, on the others those of the kernels. Exits with 77 where something is missing, as
# test harnesses write "skipped". Takes a quarter of an hour on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
unset FASTBACKPROP_DEBUG FASTBACKPROP_KERNELS FASTBACKPROP_NUM_THREADS PYTHONPATH

python=${PYTHON:-python3.11}
# max has all that qemu knows, SVE and the atomics of ARMv8.1 among it. A Cortex-A72 (Raspberry
# Pi 4) is plain ARMv8.0: there the compiler's helpers fall back to the older atomics.
cpus=${CPUS:-max cortex-a72}
# That of Debian 12, from which the one to run under qemu comes.
version=3.11

step() { printf '\n== %s\n' "$*"; }
skip() { echo "skipped: $*" >&2; exit 77; }

for program in apt-get dpkg-deb qemu-aarch64 aarch64-linux-gnu-gcc; do
    type -P $program >/dev/null ||
        skip "there is no $program; it needs Debian with qemu-user and gcc-aarch64-linux-gnu."
done
[ "$(uname -m)" = x86_64 ] || skip "it compares with x86-64, and this is $(uname -m)."
$python -c "import sys, sysconfig, os; sys.exit(sys.version_info[:2] != (3, 11) or
    not os.path.exists(sysconfig.get_path('include') + '/Python.h'))" 2>/dev/null ||
    skip "it needs Python $version with its headers as $python (or \$PYTHON)."

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
mkdir -p "${1:-$temporary}"
folder=$(cd "${1:-$temporary}" && pwd)
root=$folder/root
# Where Debian's Python looks; PYTHONPATH is the tests' own.
packages=$root/usr/lib/python3/dist-packages

if [ ! -e "$root/complete" ]; then
    step "Debian's Python $version for arm64"
    rm -rf "$root" "$folder/apt"
    mkdir -p "$root" "$folder"/apt/{state/lists/partial,cache/archives/partial}
    # A configuration of its own, by which the system's packages and lists stay as they are:
    # to apt this is a machine where nothing is installed, so that it fetches all that is needed.
    apt=(
        apt-get -qq -o Debug::NoLocking=1 -o APT::Sandbox::User= -o Acquire::Languages=none
        -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Install-Recommends=false
        -o Dir::State="$folder/apt/state" -o Dir::State::status=/dev/null
        -o Dir::Cache="$folder/apt/cache"
        -o APT::Keep-Downloaded-Packages=true
    )
    "${apt[@]}" update
    "${apt[@]}" install --yes --download-only python$version libstdc++6 >/dev/null
    for package in "$folder"/apt/cache/archives/*.deb; do
        dpkg-deb --extract "$package" "$root"
    done
    # What tests start by sys.executable must run under qemu too. Python believes its argv[0].
    cat >"$root/usr/bin/python-in-qemu" <<'EOF'
#!/bin/sh
here=$(dirname "$0")
exec qemu-aarch64 -L "$here/../.." -0 "$0" "$here/python3.11" "$@"
EOF
    chmod +x "$root/usr/bin/python-in-qemu"
    touch "$root/complete"
fi
arm=$root/usr/bin/python-in-qemu

step "the same sources for aarch64 and for x86-64"
mkdir "$temporary/source"
git ls-files -z setup.py pyproject.toml MANIFEST.in README.md LICENSE fastbackprop |
    xargs -0 cp --parents -t "$temporary/source"
$python -m venv "$temporary/x86_64"
x86=$temporary/x86_64/bin/python
"$x86" -m pip install -q "setuptools>=80" "Cython>=3.3,<3.4" "numpy>=2.0" pytest tqdm safetensors
wheel() { # NAME [VARIABLE=VALUE ...]: by the setup.py of the project, nothing else
    cp -r "$temporary/source" "$temporary/source_$1"
    (cd "$temporary/source_$1" &&
        env "${@:2}" "$x86" setup.py -q bdist_wheel --dist-dir "$temporary/wheel_$1") \
        >"$temporary/log" 2>&1 || { cat "$temporary/log"; exit 1; }
    ls "$temporary/wheel_$1"
}
wheel x86_64
# pip would take _PYTHON_HOST_PLATFORM for its own platform, and fetch build tools for it.
wheel aarch64 _PYTHON_HOST_PLATFORM=linux-aarch64 \
    SETUPTOOLS_EXT_SUFFIX=.cpython-311-aarch64-linux-gnu.so \
    CC=aarch64-linux-gnu-gcc LDSHARED="aarch64-linux-gnu-gcc -shared"
"$x86" -m pip install -q --no-deps "$temporary"/wheel_x86_64/*.whl
rm -rf "$packages"
"$x86" -m pip install -q --target "$packages" --no-compile --only-binary=:all: \
    --python-version $version --platform linux_aarch64 \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
    --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
    "$temporary"/wheel_aarch64/*.whl pytest hypothesis mpmath
modules=("$packages"/fastbackprop/_kernels/*.so)
echo "${#modules[@]} kernel modules for aarch64:" \
    "$(basename -a "${modules[@]}" | cut -d. -f1 | xargs)"

cat >"$temporary/digests.py" <<'EOF'
"""Prints a line per golden training: its dtype, name, and the SHA-256 of all weights after it."""
import sys
sys.path[:0] = ["tests", "tests/kernels"]
import test_golden
import fastbackprop as fb
info = fb.kernel_info()
features = " ".join(info["features"])
print(f"kernels {info['variant']}, FMA {info['fma']}, features {features}", file=sys.stderr)
for dtype in test_golden.DTYPES:
    for name, training in test_golden.TRAININGS.items():
        got = test_golden.train(dtype, *training)
        print(dtype, name, got["digest"])
        if name == "softmax" and (got["digest"] != test_golden.GOLDEN[dtype][1]):
            print("This is not the digest that tests/kernels/test_golden.py keeps.")
EOF

step "SHA-256 of the weights after the golden trainings"
reference=
for variant in x86_64_v4 x86_64_v3; do
    if FASTBACKPROP_KERNELS=$variant "$x86" "$temporary/digests.py" \
        >"$temporary/$variant" 2>"$temporary/log"; then
        reference=${reference:-$variant}
        cat "$temporary/log"
        cmp "$temporary/$variant" "$temporary/$reference"
    elif grep -q "this CPU or OS lacks" "$temporary/log"; then
        echo "$variant can't be compared here: $(tail -n 1 "$temporary/log")"
    else
        cat "$temporary/log"
        exit 1
    fi
done
[ "$reference" ] ||
    echo "No x86-64 variant with FMA runs here: only the digests that the test keeps are compared."
for cpu in $cpus; do
    echo -n "$cpu: "
    QEMU_CPU=$cpu "$arm" "$temporary/digests.py" >"$temporary/aarch64"
    if [ "$reference" ]; then
        diff "$temporary/$reference" "$temporary/aarch64" ||
            { echo "NEON differs from $reference."; exit 1; }
    fi
    if grep "not the digest" "$temporary/aarch64"; then exit 1; fi
done
cat "$temporary/aarch64"
echo "all the same, to the last bit"

# qemu 7.2 ends itself by an assertion in a child that was forked from a process with threads.
threads=tests/threads
no_forks=(
    --deselect "$threads/test_processes.py::test_a_hundred_forks_train_in_parent_and_child"
    --deselect "$threads/test_processes.py::test_a_model_forked_in_the_middle_of_a_fit_can_be_trained_in_the_child"
)
tests=(tests/kernels/test_{kernels,golden,math,bits}.py tests/blame)
tests+=("$threads"/test_{callers,helpers,how_many,idle,processes,same_bits}.py)
for cpu in $cpus; do
    step "tests on aarch64, $cpu: ${tests[*]}"
    QEMU_CPU=$cpu "$arm" -m pytest -q -p no:cacheprovider "${no_forks[@]}" "${tests[@]}"
    tests=(tests/kernels/test_{kernels,golden}.py)
done
