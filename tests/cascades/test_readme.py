"""What README shows is true: its cascade runs, its queries answer, and its excerpt is what is printed."""

import re
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")

# What a test is given: the `windlass` fixture of conftest.py.
Windlass = Any


def blocks(language: str) -> list[str]:
    """README's fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def test_there_are_exactly_two_commands_to_set_it_up_each_on_one_line():
    run, test = blocks("sh")
    assert run.count("\n") == test.count("\n") == 1
    assert run.strip().endswith("/windlass run cascades/seattle_weather/seattle_weather.yaml")
    assert "pytest" in test


def test_the_cascade_of_the_readme_has_ten_lines_and_runs(windlass: Windlass, tmp_path: Path):
    (text,) = blocks("yaml")
    assert text.count("\n") == 10
    cascade, visits = tmp_path / "busiest.yaml", tmp_path / "visits.csv"
    cascade.write_text(text, encoding="utf-8")
    visits.write_text("page,reader\nhome,ada\nhome,grace\nnews,ada\nnews,\nabout,grace\n", encoding="utf-8")
    report = windlass.run(cascade, path=visits)
    assert report["result"]["rows"] == [
        {"page": "home", "n": 2},
        {"page": "about", "n": 1},
        {"page": "news", "n": 1},
    ]


def test_the_excerpt_is_what_the_first_command_prints(windlass: Windlass):
    (excerpt,) = blocks("text")
    printed = windlass("run", str(REPOSITORY / "cascades/seattle_weather/seattle_weather.yaml")).splitlines()
    assert [line for line in excerpt.splitlines() if line not in printed] == []


@pytest.mark.parametrize("at", range(2))
def test_the_queries_of_the_readme_answer(windlass: Windlass, at: int):
    windlass.run("retry_and_recover.yaml", hopeless=True, code=1)
    query = blocks("sql")[at]
    rows = windlass.sql(query)
    assert rows
    assert all(value is not None for row in rows for value in row.values())


def test_every_link_of_the_readme_leads_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert [link for link in links if not (REPOSITORY / link).exists()] == []
