"""docs/callbacks.md: its blocks run in turn; those of other packages with a stand-in as well."""

import re
import sys
import types
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs/callbacks.md"
BLOCKS = (
    re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if PAGE.exists()
    else []
)
pytestmark = pytest.mark.skipif(not BLOCKS, reason="docs/ is in the sources only")


@pytest.fixture
def names(tmp_path, monkeypatch):
    """What the first block has defined, in a folder where blocks may write."""
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(BLOCKS[0], names)
    return names


def test_the_blocks_of_the_library_run(names, capsys):
    assert len(BLOCKS) == 4
    exec(BLOCKS[1], names)
    steps, last = re.fullmatch(r"(\d+) steps, the last loss (\S+)", said(capsys)[-1]).groups()
    assert int(steps) == len(names["trainer"].history) * 13
    assert 0 < float(last) < 1


def said(capsys):
    return capsys.readouterr().out.splitlines()


class Calls(types.ModuleType):
    """Stands in for a package: notes each call."""

    def __init__(self, name):
        super().__init__(name)
        self.calls = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **options: self.calls.append((name, args, options)) or self


def test_the_block_for_tensorboard_writes_every_figure_of_every_epoch(names, monkeypatch):
    writer = Calls("torch.utils.tensorboard")
    for name in ("torch", "torch.utils"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", writer)
    exec(BLOCKS[2], names)
    figures = names["trainer"].history.to_dict()
    expected = [
        ("add_scalar", (name, values[epoch], epoch + 1), {})
        for epoch in range(5)
        for name, values in figures.items()
    ]
    assert writer.calls == [("SummaryWriter", ("runs",), {}), *expected, ("close", (), {})]


def test_the_block_for_mlflow_logs_every_epoch(names, monkeypatch):
    mlflow = Calls("mlflow")
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    exec(BLOCKS[3], names)
    assert [name for name, *_ in mlflow.calls] == [
        *("start_run", "log_params", *["log_metrics"] * 5, "end_run"),
    ]
    assert mlflow.calls[6][1][0]["loss"] == names["trainer"].history.loss[-1]
    assert mlflow.calls[6][2] == {"step": 5}


@pytest.mark.parametrize(("block", "package"), [(2, "tensorboard"), (3, "mlflow")])
def test_with_the_package_itself(block, package, names):
    pytest.importorskip(package, reason=f"{package} isn't installed")
    if package == "tensorboard":
        pytest.importorskip("torch", reason="torch isn't installed")
    exec(BLOCKS[block], names)
    assert list(Path.cwd().iterdir())
