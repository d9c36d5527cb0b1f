"""The lesson prints what it says, and its pictures can be drawn."""

import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture(scope="module")
def lesson():
    sys.path.insert(0, str(DOCS))
    try:
        import lesson
    finally:
        sys.path.remove(str(DOCS))
    return lesson


@pytest.fixture(scope="module")
def ran(lesson):
    """The page as it is, as it would be now, and the names that its blocks define."""
    page = lesson.PAGE.read_text(encoding="utf-8")
    return page, *lesson.run(page)


def test_every_number_on_the_page_is_printed_by_its_code(ran):
    page, now, _ = ran
    assert page == now


def test_a_wrong_number_on_the_page_would_be_found(lesson):
    page = "```python\nprint(6 * 7)\n```\n```text\n41\n```\n"
    assert lesson.run(page)[0] == page.replace("41", "42")


def test_the_numbers_in_the_prose_are_those_of_the_worked_example(ran):
    printed = " ".join(re.findall(r"^```text\n(.*?)^```", ran[0], re.MULTILINE | re.DOTALL))
    for number in ("24", "18", "-6", "-36", "-48", "4.36", "3.48", "30.3456"):
        assert re.search(rf"(?<![\d.-]){re.escape(number)}(?!\d)", printed), number


def test_its_pictures_are_there_and_can_be_drawn(lesson, ran, tmp_path):
    named = re.findall(r"\]\((\S+\.png)\)", ran[0])
    for name in named:
        assert (DOCS / name).read_bytes().startswith(b"\x89PNG")
    named.remove("lab.png")  # which is that of a browser
    assert len(named) == 3
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    lesson.draw(ran[2], tmp_path)
    assert sorted(x.name for x in tmp_path.iterdir()) == sorted(named)


def test_six_exercises_have_answers_that_are_computed(ran):
    exercises = ran[0].partition("## 10. Six exercises")[2]
    assert re.findall(r"^\*\*(\d)\.\*\*", exercises, re.MULTILINE) == list("123456")
    answers = re.findall(r"^```text\n(.*?)^```", exercises, re.MULTILINE | re.DOTALL)
    assert answers == [
        "[600.0, 450.0]\n",
        "[0.0, 0.0]\n",
        "[0.0, -180.0]\n",
        "0.00948 30.0\n",
        "-24.0\n",
        "0.000182 1\n",
    ]


def test_the_lab_that_it_links_to_is_there():
    page = (DOCS / "lab.html").read_text(encoding="utf-8")
    assert '"widths":[1,1,1]' in page
    assert '"weight_gradient":[[-48.0]]' in page
    assert '"weight_gradient":[[-36.0]]' in page
