"""Count what the inner loops of the register tiles hold, and see that no sum leaves its register.

    python tools/check_tiles.py [FILE ...]

Without arguments it reads the kernel modules of the ``fastbackprop`` that is installed; a FILE is
a module or an object file (x86_64_v4_float32.o), of any compiler. For each tile of full height and
width (predict, blame and correct; each instruction set and dtype) it disassembles the loops over k
and prints, for one k, the multiply-adds, the loads of the right-hand rows, the broadcasts of
left-hand numbers and the vector traffic with the stack. Traffic with the stack is an error: the
loop then waits for memory that nobody asked for. Exits with 77 where there is no objdump.
"""

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Rows and vectors of a full tile: FBP_TILE_ROWS and FBP_TILE_VECTORS of simd.h.
TILES = {
    "x86_64_v4": (8, 3),
    "x86_64_v3": (6, 2),
    "baseline": (4, 2),
    "baseline aarch64": (6, 4),
}
FUNCTIONS = {"dense_forward": "predict", "dense_backward": "blame", "dense_correct": "correct"}
NAME = re.compile(r"(baseline|x86_64_v3|x86_64_v4)_(float32|float64)")

INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\s+(\S+)\s*(.*)$")
BEGINNING = re.compile(r"^[0-9a-f]+ <(.+)>:$")
JUMP = re.compile(r"^([0-9a-f]+) <")

X86_VECTOR = re.compile(r"%[xyz]mm")
X86_MULTIPLY_ADD = re.compile(r"^vfn?m(add|sub)\d+[ps][sd]$")
X86_BROADCAST = re.compile(r"^(vbroadcasts[sd]|movs[sd]|movddup|vmovddup)$")
ARM_MULTIPLY_ADD = re.compile(r"^fml[as]$")
ARM_VECTOR = re.compile(r"\b[qv]\d+")
ARM_LOAD, ARM_STORE = re.compile(r"^ld"), re.compile(r"^st")


@dataclass
class Loop:
    """What one turn of an innermost loop does."""

    address: int
    multiply_adds: int = 0
    loads: int = 0
    broadcasts: int = 0
    stack: int = 0

    def per_step(self, steps: int) -> tuple[int, int, int, int]:
        """The same for one k, where the compiler does ``steps`` of them a turn."""
        counts = (self.multiply_adds, self.loads, self.broadcasts, self.stack)
        return tuple(-(-count // steps) for count in counts)  # type: ignore[return-value]


def stack_of(instructions: list[tuple[int, str, str]]) -> re.Pattern[str]:
    """How a function of x86-64 names the stack: rbp may be its frame, or hold anything."""
    makes_frame = any(
        (mnemonic == "mov" and operands == "%rsp,%rbp")
        or (mnemonic == "lea" and operands.endswith("(%rsp),%rbp"))
        for _, mnemonic, operands in instructions
    )
    return re.compile(r"\(%r[sb]p[,)]" if makes_frame else r"\(%rsp[,)]")


def count_x86(loop: Loop, mnemonic: str, operands: str, stack: re.Pattern[str]) -> None:
    """Add an instruction of x86-64, in AT&T's syntax, to the loop's counts."""
    if not X86_VECTOR.search(operands):
        return
    in_memory = "(" in operands
    # Without FMA the addition of each product is what counts.
    if X86_MULTIPLY_ADD.match(mnemonic) or mnemonic in ("addps", "addpd"):
        loop.multiply_adds += 1
    if in_memory and stack.search(operands):
        loop.stack += 1
    elif in_memory and (X86_BROADCAST.match(mnemonic) or "{1to" in operands):
        loop.broadcasts += 1
    elif in_memory:
        loop.loads += 1


def count_arm(loop: Loop, mnemonic: str, operands: str) -> None:
    """Add an instruction of aarch64 to the loop's counts."""
    if ARM_MULTIPLY_ADD.match(mnemonic):
        loop.multiply_adds += 1
        return
    is_load, is_store = ARM_LOAD.match(mnemonic), ARM_STORE.match(mnemonic)
    if not (is_load or is_store) or not re.search(r"\b[qvds]\d+", operands):
        return
    if "[sp" in operands or "[x29" in operands:
        loop.stack += 1
    elif mnemonic.startswith("ld1r") or re.match(r"[sd]\d+", operands) or "}[" in operands:
        loop.broadcasts += 1
    else:
        n_registers = len(re.findall(r"\b[qv]\d+", operands))
        loop.loads += n_registers


def innermost_loops(instructions: list[tuple[int, str, str]], is_arm: bool) -> Iterator[Loop]:
    """The loops of a function that hold no other: what lies between a jump back and its target."""
    places = {address: i for i, (address, _, _) in enumerate(instructions)}
    jumps = []
    for i, (address, mnemonic, operands) in enumerate(instructions):
        is_jump = mnemonic.startswith("j") or (is_arm and re.match(r"^(b\.?|cb|tb)", mnemonic))
        target = JUMP.match(operands.rpartition(", ")[2]) if is_jump else None
        if target and places.get(int(target[1], 16), i + 1) <= i and address:
            jumps.append((places[int(target[1], 16)], i))
    stack = stack_of(instructions)
    for first, last in jumps:
        if any(
            other != (first, last) and first <= other[0] and other[1] <= last for other in jumps
        ):
            continue
        loop = Loop(instructions[first][0])
        for _, mnemonic, operands in instructions[first : last + 1]:
            if is_arm:
                count_arm(loop, mnemonic, operands)
            else:
                count_x86(loop, mnemonic, operands, stack)
        yield loop


def functions_of(text: str) -> Iterator[tuple[str, list[tuple[int, str, str]]]]:
    """Each function of a disassembly: its name, and (address, mnemonic, operands)."""
    name, instructions = "", []
    for line in text.splitlines():
        if beginning := BEGINNING.match(line):
            if name:
                yield name, instructions
            name, instructions = beginning[1], []
        elif (instruction := INSTRUCTION.match(line)) and name:
            address, mnemonic, operands = instruction.groups()
            instructions.append((int(address, 16), mnemonic, operands.partition("#")[0].strip()))
    if name:
        yield name, instructions


def tiles_of(path: Path) -> Iterator[tuple[str, tuple[int, int, int, int], int]]:
    """The full tiles of a file: the word, the counts for one k, and the loop's address."""
    variant = NAME.search(path.name)
    if variant is None:
        sys.exit(f"{path} must be named as a kernel module, x86_64_v3_float32 for one.")
    text = subprocess.run(
        [OBJDUMP, "-d", "--no-show-raw-insn", str(path)], capture_output=True, text=True, check=True
    ).stdout
    is_arm = "aarch64" in text[:500]
    rows, vectors = TILES[f"{variant[1]} aarch64" if is_arm else variant[1]]
    for name, instructions in functions_of(text):
        word = next((word for key, word in FUNCTIONS.items() if key in name), None)
        if word is None:
            continue
        for loop in innermost_loops(instructions, is_arm):
            steps, rest = divmod(loop.multiply_adds, rows * vectors)
            # Tiles of other sizes load more for as many multiply-adds, polynomials broadcast none.
            is_small = loop.loads + loop.broadcasts <= steps * (rows + vectors)
            if steps and not rest and is_small and loop.broadcasts:
                yield word, loop.per_step(steps), loop.address


def installed_modules() -> list[Path]:
    """The kernel modules of the package that Python imports."""
    spec = importlib.util.find_spec("fastbackprop")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("fastbackprop isn't installed; give the modules or object files to be looked at.")
    folder = Path(spec.submodule_search_locations[0]) / "_kernels"
    return sorted(path for path in folder.iterdir() if path.suffix in (".so", ".pyd"))


def main() -> int:
    """Print a table; return how many words lack a tile or use the stack in one."""
    wrong = 0
    paths = [Path(argument) for argument in sys.argv[1:]] or installed_modules()
    print("kernels             tile     multiply-adds  loads  broadcasts  stack      at")
    for path in paths:
        missing = set(FUNCTIONS.values())
        name = NAME.search(path.name)
        for word, counts, address in tiles_of(path):
            missing.discard(word)
            wrong += counts[-1] > 0
            numbers = "{:13} {:6} {:11} {:6}".format(*counts)
            print(f"{name[0] if name else path.name:19} {word:8} {numbers} {address:7x}")
        for word in sorted(missing):
            wrong += 1
            print(f"{path.name}: no loop of the full tile was found for {word}.")
    print(f"{wrong} wrong" if wrong else "no vector goes to or comes from the stack")
    return min(wrong, 1)


OBJDUMP = shutil.which("objdump") or ""

if __name__ == "__main__":
    if not OBJDUMP:
        print("skipped: there is no objdump here (Debian: binutils).")
        sys.exit(77)
    sys.exit(main())
