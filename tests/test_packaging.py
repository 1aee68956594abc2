"""What users install: the pins agree with each other, and the wheel holds all that runs."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[1]
PYTHONS = ["3.11.9", "3.12.9", "3.13.9"]
BUILD_S = 120  # takes a second or two


def test_the_constraints_are_the_lock_without_its_hashes():
    lock = [line.removesuffix("\\").strip() for line in body("requirements.lock") if not line.startswith(" ")]
    assert body("constraints.txt") == lock, "run: make lock"


def test_every_pin_of_the_lock_has_hashes():
    text = (REPOSITORY / "requirements.lock").read_text()
    blocks = re.split(r"\n(?=\S)", text)
    assert all("--hash=sha256:" in block for block in blocks if not block.startswith("#"))


@pytest.mark.parametrize("python", PYTHONS)
def test_every_requirement_is_pinned_within_its_range_for(python):
    environment = {"python_full_version": python, "python_version": python.rpartition(".")[0]}
    pins = {}
    for line in body("constraints.txt"):
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate(environment):
            assert canonicalize_name(pin.name) not in pins, f"{pin.name} is pinned twice for {python}"
            pins[canonicalize_name(pin.name)] = str(pin.specifier).removeprefix("==")
    for requirement in requirements():
        pinned = pins.get(canonicalize_name(requirement.name))
        assert pinned, f"{requirement.name} is not pinned; run: make lock"
        assert requirement.specifier.contains(pinned), f"{requirement} is pinned to {pinned}; run: make lock"


def test_the_wheel_holds_the_engine_its_sql_and_the_examples(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=BUILD_S)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        entry_points = archive.read(
            next(n for n in archive.namelist() if n.endswith("entry_points.txt"))
        ).decode()
    assert "windlass = windlass.cli:main" in entry_points
    assert held == {f"{into}{path}" for into, path in should_hold()}


def should_hold() -> set[tuple[str, str]]:
    """Pairs of (folder in the wheel, path in it) of everything but what Python itself made."""
    places = {"windlass": "windlass/", "sql": "windlass/_sql/", "cascades": "windlass/_cascades/"}
    return {
        (into, str(path.relative_to(REPOSITORY / folder)))
        for folder, into in places.items()
        for path in (REPOSITORY / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def body(file: str) -> list[str]:
    return [
        line for line in (REPOSITORY / file).read_text().splitlines() if line and not line.startswith("#")
    ]


def requirements() -> list[Requirement]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(line) for group in groups for line in group]
