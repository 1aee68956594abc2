"""The real-data example: what its report and picture say is what is in the file."""

import csv
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

FOLDER = Path(__file__).parents[2] / "cascades" / "seattle_weather"
CASCADE = FOLDER / "seattle_weather.yaml"
RAW = FOLDER / "seattle-weather.csv"
SVG = "{http://www.w3.org/2000/svg}"

Days = list[dict[str, str]]
# What a test is given: the `windlass` fixture of conftest.py.
Windlass = Any


@pytest.fixture(scope="module")
def report(windlass: Windlass) -> dict[str, Any]:
    """One run over the file that is shipped."""
    return windlass.run(CASCADE)


def test_the_file_is_the_one_that_data_md_describes():
    papers = (FOLDER / "DATA.md").read_text(encoding="utf-8")
    assert hashlib.sha256(RAW.read_bytes()).hexdigest() in papers
    assert f"{len(days()):,} rows" in papers
    assert "public domain" in papers and "NOAA" in papers


def test_yearly_and_monthly_totals_equal_an_independent_calculation(report: dict[str, Any]):
    by_year, by_month, wet = defaultdict(Decimal), defaultdict(Decimal), Counter()
    for day in days():
        year, month, _ = day["date"].split("/")
        by_year[int(year)] += Decimal(day["precipitation"])
        by_month[int(year), int(month)] += Decimal(day["precipitation"])
        wet[int(year)] += Decimal(day["precipitation"]) > 0
    years, months = report["outputs"]["yearly"]["rows"], report["outputs"]["monthly"]["rows"]
    assert {row["year"]: row["precipitation"] for row in years} == {
        key: float(mm) for key, mm in by_year.items()
    }
    assert {row["year"]: row["wet_days"] for row in years} == wet
    assert {(row["year"], row["month"]): row["precipitation"] for row in months} == {
        key: float(mm) for key, mm in by_month.items()
    }
    assert len(months) == 48
    assert f"{sum(by_year.values()):,} mm of precipitation on {wet.total()} wet days" in report["result"]


def test_extremes_equal_an_independent_calculation(report: dict[str, Any]):
    for row in report["outputs"]["yearly"]["rows"]:
        year = [day for day in days() if day["date"].startswith(str(row["year"]))]
        for name, column, pick in [
            ("wettest", "precipitation", max),
            ("hottest", "temp_max", max),
            ("coldest", "temp_min", min),
        ]:
            extreme = pick(float(day[column]) for day in year)
            assert row[name] == extreme
            on = {day["date"].replace("/", "-") for day in year if float(day[column]) == extreme}
            assert row[f"{name}_on"] in on
    assert "wettest day:       2015-03-15, 55.9 mm" in report["result"]


def test_dry_spells_equal_an_independent_calculation(report: dict[str, Any]):
    spells: dict[int, list[str]] = {}
    for is_dry, run in groupby(days(), key=lambda day: float(day["precipitation"]) == 0):
        dates = [day["date"].replace("/", "-") for day in run]
        year = int(dates[-1][:4])
        if is_dry and len(dates) > len(spells.get(year, [])):
            spells[year] = dates
    assert report["outputs"]["spells"] == [
        {"year": year, "days": len(dates), "first": dates[0], "last": dates[-1]}
        for year, dates in spells.items()
    ]


def test_shares_of_weather_equal_an_independent_calculation(report: dict[str, Any]):
    counts = Counter(day["weather"] for day in days())
    rows = report["outputs"]["kinds"]["rows"]
    assert [(row["weather"], row["days"]) for row in rows] == counts.most_common()
    for row in rows:
        assert row["percent"] == pytest.approx(100 * row["days"] / len(days()), abs=0.051)


def test_the_text_says_what_the_tables_say(report: dict[str, Any]):
    text = report["result"]
    assert text.startswith("# Seattle weather, 2012-01-01 to 2015-12-31\n")
    for row in report["outputs"]["yearly"]["rows"]:
        assert re.search(
            rf"^\| {row['year']} \| *{row['precipitation']:,.1f} \| *{row['wet_days']} \|", text, re.MULTILINE
        )
    cells = re.findall(r"^\| (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) .*$", text, re.MULTILINE)
    written = [cell.strip() for line in cells for cell in line.strip("|").split("|")[1:]]
    months = report["outputs"]["monthly"]["rows"]
    assert sorted(map(float, written)) == sorted(month["precipitation"] for month in months)
    assert max(map(len, text.splitlines())) <= 100, "it is read in a terminal"


def test_report_and_picture_are_artifacts_that_anybody_can_find(windlass: Windlass, report: dict[str, Any]):
    kinds = {file["name"]: file["media_type"] for file in report["artifacts"]}
    assert kinds.keys() == {"report.md", "seattle-weather.svg"}
    assert kinds["seattle-weather.svg"] == "image/svg+xml"
    assert windlass.artifact(report, "report.md") == report["result"]
    for file in report["artifacts"]:
        kept = windlass.artifact(report, file["name"]).encode()
        assert (hashlib.sha256(kept).hexdigest(), len(kept)) == (file["sha256"], file["bytes"])


def test_the_picture_shows_every_month_and_day_with_title_units_and_axes(
    windlass: Windlass, report: dict[str, Any]
):
    picture = ElementTree.fromstring(windlass.artifact(report, "seattle-weather.svg"))
    texts = [element.text or "" for element in picture.iter(f"{SVG}text")]
    assert "Seattle weather" in texts
    assert "Precipitation, mm per month" in texts
    assert any(text.startswith("Temperature, °C") for text in texts)
    assert {"2012", "2013", "2014", "2015", "0", "300", "40"} <= set(texts)
    assert "longest dry spell: 48 days" in texts
    bars = [bar for bar in picture.iter(f"{SVG}rect") if bar.find(f"{SVG}title") is not None]
    assert len(bars) == 48
    heights = [float(bar.attrib["height"]) for bar in bars]
    amounts = [row["precipitation"] for row in report["outputs"]["monthly"]["rows"]]
    scale = max(heights) / max(amounts)
    assert heights == pytest.approx([amount * scale for amount in amounts], abs=0.2), (
        "a bar is as high as its month"
    )
    strokes = next(path.attrib["d"] for path in picture.iter(f"{SVG}path"))
    assert strokes.count("M") == len(days())


def test_one_changed_value_changes_the_report_and_the_picture(
    windlass: Windlass, report: dict[str, Any], changed: Callable[..., Path]
):
    file = changed({"2012/08/15": {"precipitation": "123.4", "weather": "rain"}})
    other = windlass.run(CASCADE, data=file)
    before, after = lines_of(report["result"]), lines_of(other["result"])
    assert "- wettest day:       2012-08-15, 123.4 mm" in after - before
    assert any(line.startswith("| Aug   |   123.4 |") for line in after - before)
    assert "1,461 days, 4,549.4 mm of precipitation on 624 wet days." in after
    assert "- longest dry spell: 35 days, 2013-06-28 to 2013-08-01" in after, "the longest one is cut in two"
    assert any(line.startswith("| rain    |  260 |") for line in after - before)
    pictures = [windlass.artifact(run, "seattle-weather.svg") for run in (report, other)]
    changed_lines = lines_of(pictures[1]) - lines_of(pictures[0])
    assert any("August 2012: 123.4 mm" in line for line in changed_lines), "its bar has grown"
    assert any("longest dry spell: 35 days" in line for line in changed_lines)


def test_impossible_values_fail_the_session_and_each_is_named_with_its_row(
    windlass: Windlass, changed: Callable[..., Path]
):
    file = changed(
        {
            "2012/01/01": {"precipitation": "-0.1"},
            "2013/05/06": {"temp_min": "40.0"},
            "2013/05/07": {"weather": "frogs"},
            "2014/01/01": {"wind": ""},
            "2015/12/31": {"date": "2016/01/01"},
        }
    )
    failed = windlass.run(CASCADE, data=file, code=1)
    assert (failed["status"], failed["error"]["phase"]) == ("failed", "checks")
    assert [phase["name"] for phase in failed["phases"]] == ["raw", "checks"]
    # Rows as an editor counts them: the header is row 1.
    for said in [
        "5 impossible values",
        "row 2 (2012-01-01): precipitation is -0.1, possible is 0 to 2000",
        "row 493 (2013-05-06): temp_min 40.0 is above temp_max",
        "row 494 (2013-05-07): weather is 'frogs', known are drizzle, fog, rain, snow, sun",
        "row 733 (2014-01-01): wind is ",
        "row 1462 (2016-01-01): the day before it in the file is 2015-12-30",
    ]:
        assert said in failed["error"]["message"]


def test_a_file_that_is_no_such_table_fails_at_once_and_says_where(
    windlass: Windlass, changed: Callable[..., Path]
):
    failed = windlass.run(CASCADE, data=changed({"2013/05/06": {"precipitation": "much"}}), code=1)
    assert (failed["error"]["phase"], failed["error"]["kind"]) == ("raw", "sql")
    told = failed["error"]["message"] + failed["error"]["detail"]
    assert "much" in told and "493" in told


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[dict[str, dict[str, str]]], Path]:
    """`changed({day: {column: value}})`: a copy of the raw file with other values on those days."""

    def write(values: dict[str, dict[str, str]]) -> Path:
        rows = days()
        for row in rows:
            row.update(values.get(row["date"], {}))
        target = tmp_path / "weather.csv"
        with target.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        return target

    return write


def days() -> Days:
    """The raw file, row by row."""
    with RAW.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def lines_of(text: str) -> set[str]:
    return set(text.splitlines())
