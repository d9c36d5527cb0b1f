"""Tables, README and aims say what the JSON of a run says, without measuring anything."""

import copy
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
JSONS = sorted((BENCH / "results").glob("*.json"))
pytestmark = pytest.mark.skipif(not JSONS, reason="bench/results is in the repository only")
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINK = re.search(r"\((bench/results/[\w-]+)\.md\)", README)
EPYC = {"vendor_id": "AuthenticAMD", "cpu family": "26", "model": "2", "model name": "AMD EPYC"}


def module(name, monkeypatch):
    """Import a part of bench/ as its programs see it."""
    monkeypatch.syspath_prepend(BENCH)
    for other in ("peers", "tables", "aims", "readme", "report", "machine", "plot"):
        monkeypatch.delitem(sys.modules, other, raising=False)
    return importlib.import_module(name)


@pytest.fixture
def results():
    return json.loads((ROOT / f"{LINK[1]}.json").read_text(encoding="utf-8"))


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("path", JSONS, ids=lambda path: path.stem)
def test_the_tables_in_the_repository_are_those_of_the_json(path, tmp_path):
    target = tmp_path / path.name
    target.write_bytes(path.read_bytes())
    command = [sys.executable, BENCH / "report.py", target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    made = target.with_suffix(".md").read_text(encoding="utf-8")
    assert made == path.with_suffix(".md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", JSONS, ids=lambda path: path.stem)
def test_a_json_says_on_what_and_when_it_was_measured(path):
    results = json.loads(path.read_text(encoding="utf-8"))
    assert results["machine"]["name"] == path.stem
    assert {"cpu", "cores", "kernels", "caches", "os"} <= set(results["machine"])
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", results["date"])
    for workload in results["workloads"]:
        assert workload["peak_gflops"] > 0
        for runner in workload["runners"].values():
            lower, upper = runner["quartiles"]
            assert lower <= runner["microseconds"] <= upper


def test_the_readme_shows_at_most_eight_rows_and_each_is_the_json_s(results, monkeypatch):
    readme = module("readme", monkeypatch)
    block = readme.BLOCK.search(README)[0]
    assert block == readme.text(results)
    assert f"`{results['machine']['name']}`" in block
    rows = [cells(line) for line in block.splitlines() if line.startswith("| ")][2:]
    assert 1 <= len(rows) <= 8
    by_name = {workload["name"]: workload for workload in results["workloads"]}
    for name, ours, *_, best in rows:
        runners = by_name[name]["runners"]
        assert float(ours.replace(",", "")) == pytest.approx(
            runners["fastbackprop"]["microseconds"], rel=0.006, abs=0.0006
        )
        others = {k: v["ratio"] for k, v in runners.items() if not k.startswith("fastbackprop")}
        assert best.startswith(min(others, key=others.get))


def test_another_figure_gives_another_table(results, monkeypatch):
    report = module("report", monkeypatch)
    readme = sys.modules["readme"]
    changed = copy.deepcopy(results)
    name = readme.ROWS[0]
    line = next(w for w in changed["workloads"] if w["name"] == name)
    line["runners"]["fastbackprop"]["microseconds"] *= 3
    assert readme.text(changed) != readme.text(results)
    assert report.text(changed) != report.text(results)


def test_a_wrong_peer_is_never_the_best(results, monkeypatch):
    tables = module("tables", monkeypatch)
    workload = copy.deepcopy(next(w for w in results["workloads"] if len(w["runners"]) > 3))
    best = tables.best_of(workload)[0]
    workload["runners"][best]["check"]["right"] = False
    assert tables.best_of(workload)[0] != best
    assert tables.cell(workload["runners"][best]) == "WRONG"
    assert (workload["name"], best) in [
        pair[:2] for pair in tables.wrong({"workloads": [], "threads": {"alone": [workload]}})
    ]


def test_aims_are_reached_or_not_by_the_figures(results, monkeypatch):
    aims = module("aims", monkeypatch)

    def reached(results):
        lines = [cells(line) for line in aims.text(results).splitlines()[2:]]
        return {what: answer == "yes" for what, _, _, answer in lines}

    before = reached(results)
    assert len(before) > 20
    slow, quick = copy.deepcopy(results), copy.deepcopy(results)
    for changed, factor in ((slow, 1000), (quick, 0.001)):
        for workload in changed["workloads"]:
            workload["runners"]["fastbackprop"]["microseconds"] *= factor
    assert not any(reached(slow)[call] for call in ("step, 4-8-3", "forward, 4-8-3"))
    assert all(reached(quick)[call] for call in ("step, 4-8-3", "forward, 4-8-3"))
    assert aims.text({"workloads": []}) == ""


def test_the_best_peer_of_an_aim_is_that_of_the_hardest_line(results, monkeypatch):
    aims = module("aims", monkeypatch)
    names = [w["name"] for w in results["workloads"] if w["kind"] == "derivative"]
    each = [aims.over([name], "JAX")(results) for name in names]
    assert aims.over(names, "JAX")(results) == min(each)
    assert aims.over(["nothing of this name"])(results) is None


def test_the_picture_is_drawn_of_the_json(results, monkeypatch, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    plot = module("plot", monkeypatch)
    assert set(plot.PICTURED) <= {workload["name"] for workload in results["workloads"]}
    plot.draw(results, tmp_path / "ratios.png")
    assert (tmp_path / "ratios.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("cpu", "variant", "name"),
    [
        (EPYC, "x86_64_v4", "epyc-zen5-avx512"),
        (EPYC, "x86_64_v3", "epyc-zen5-avx2"),
        (
            EPYC
            | {"cpu family": "25", "model": "17", "model name": "AMD EPYC 9654 96-Core Processor"},
            "x86_64_v4",
            "epyc-9654-zen4-avx512",
        ),
        (
            {
                "vendor_id": "GenuineIntel",
                "cpu family": "6",
                "model": "85",
                "model name": "Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz",
            },
            "x86_64_v4",
            "xeon-gold-6148-skylake-avx512",
        ),
        ({"model name": "Some Maker's Fast/Chip (TM) 7"}, "neon", "some-maker-s-fast-chip-7-neon"),
    ],
)
def test_a_machine_has_a_name_for_files(cpu, variant, name, monkeypatch):
    machine = module("machine", monkeypatch)
    assert machine.name(cpu, variant) == name


def test_wrong_usage_of_the_report_ends_with_one_sentence(tmp_path):
    (tmp_path / "README.md").write_text("no table here\n")
    target = tmp_path / "results.json"
    for arguments, complaint in (
        ([target], "json must be a file of results, got"),
        (
            [target, "--readme", tmp_path / "README.md"],
            "--readme must have a line that begins with",
        ),
    ):
        command = [sys.executable, BENCH / "report.py", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2
        assert complaint in done.stderr
        assert "Traceback" not in done.stderr
        target.write_bytes(JSONS[0].read_bytes())
    assert (tmp_path / "README.md").read_text() == "no table here\n"


def test_what_steers_the_peers_kernels_is_taken_out_of_the_environment(monkeypatch):
    machine = module("machine", monkeypatch)
    monkeypatch.setattr(machine, "allowed_cores", list)
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("XLA_FLAGS", "--x")
    for variable in machine.THREAD_VARIABLES:
        monkeypatch.setenv(variable, "7")
    assert machine.pin(1) == []
    assert "OPENBLAS_CORETYPE" not in os.environ
    assert "XLA_FLAGS" not in os.environ
    assert {os.environ[variable] for variable in machine.THREAD_VARIABLES} == {"1"}
