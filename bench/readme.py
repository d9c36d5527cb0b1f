"""What the project's README shows of a run: the machine, and some rows."""

import re
from typing import Any

from peers import OURS
from tables import best_of, best_peer, cell, number, peak, table

# At most eight; some where others are better stay among them.
ROWS = (
    "call 4-8-3 step",
    "train 5-5-1 batch 1",
    "train 64-64-10 batch 32",
    "train 784-128-10 batch 128",
    "train 50-256-256-256-1 batch 256 Adam",
    "train 1024-1024-1024-1024-10 batch 512",
    "derivative 784-128-10 128 rows hessian_vector_product",
)
PEERS = ("NumPy", "PyTorch", "JAX", "scikit-learn")
BLOCK = re.compile(r"^Measured on 20.*?\n(?=\n## )", re.DOTALL | re.MULTILINE)


def text(results: dict[str, Any]) -> str:
    """Return what the project's README shows: the machine, and some rows."""
    x = results["machine"]
    by_name = {workload["name"]: workload for workload in results["workloads"]}
    rows = []
    for workload in (by_name[name] for name in ROWS if name in by_name):
        ours = workload["runners"][OURS]
        bests = [best_of(workload, peer) for peer in PEERS]
        rows.append([
            workload["name"],
            number(ours["microseconds"]),
            f"{ours['part_of_peak']:.0%}" if "part_of_peak" in ours else "-",
            *(cell(best and workload["runners"][best[0]]) for best in bests),
            best_peer(workload),
        ])  # fmt: skip
    head = ["one thread, float32", OURS, "of peak", *PEERS, "best peer"]
    where = (
        f"Measured on {results['date']}, on one core of `{x['name']}` ({x['cpu']}), "
        f"{peak(results)}."
    )
    return f"{where}\n\n{table(head, rows)}\n"
