"""The house rules that no linter knows: sizes, names, front doors, and papers that match the code."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from windlass.config import Settings, load_settings

REPOSITORY = Path(__file__).parents[1]
ENGINE = sorted((REPOSITORY / "windlass").rglob("*.py"))
OURS = sorted({*ENGINE, *(REPOSITORY / "tests").rglob("*.py"), *(REPOSITORY / "benchmarks").rglob("*.py")})

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
README_LINES_MAX = 150
SAYS_NOTHING = {"utils", "util", "common", "helpers", "base", "misc"}

# Where everything may be caught: a loop's tick, a phase's execution, an HTTP handler; and how often.
CATCHES_ALL: dict[str, int] = {
    "windlass/cli/exits.py": 1,  # the last stop of a bug, which becomes an exit code and a few lines
    "windlass/guest/inline.py": 1,  # a phase's execution, in the worker
    "windlass/guest/service.py": 1,  # a phase's execution, in the session's child
    "windlass/phases/run.py": 1,  # a phase's execution: our own bug ends one phase, not the worker
    "windlass/sandbox/service.py": 3,  # the author's code runs here, in a child that must not return
    "windlass/sandbox/zygote.py": 1,  # a forked copy must not go on as a second zygote
    # Below, every kind of error that a client or the engine has is translated into one of ours.
    "windlass/store/connect.py": 1,
    "windlass/store/database.py": 1,
    "windlass/store/endpoint_handles.py": 2,
    "windlass/store/read_only.py": 1,
}

# What costs the command line its quick start when it is imported before it is needed.
HEAVY = {
    "chdb",
    "clickhouse_connect",
    "duckdb",
    "jsonschema",
    "matplotlib",
    "numpy",
    "pandas",
    "pyarrow",
    "requests",
}

# Runtime dependencies that no line of ours imports, and what needs them.
NEEDED_UNSEEN: dict[str, str] = {}

# What a declared dependency brings and stands for by contract.
COMPANIONS = {"markupsafe", "pydantic-core"}  # of jinja2 and of pydantic

# Folders that hold what tools made, and files that are not text of ours.
NOT_OURS = {"__pycache__", "node_modules", "build", "dist", "venv"}


def test_a_module_is_short_enough_to_read():
    long = {name(path): lines(path) for path in OURS if lines(path) > MODULE_LINES_MAX}
    assert not long, f"split these: {long}"


def test_a_function_is_short_enough_to_read():
    long = {}
    for path in OURS:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or 0) - node.lineno + 1
                if size > FUNCTION_LINES_MAX:
                    long[f"{name(path)}:{node.lineno} {node.name}"] = size
    assert not long, f"split these: {long}"


def test_a_module_is_named_after_what_it_does():
    vague = [name(path) for path in ENGINE if SAYS_NOTHING & {path.stem, path.parent.name}]
    assert not vague, f"give these a name that says something: {vague}"


def test_an_init_is_a_front_door_and_nothing_else():
    faults = []
    for path in (path for path in ENGINE if path.name == "__init__.py"):
        allowed = {"__all__", "__version__"} if path.parent.name == "windlass" else {"__all__"}
        for node in tree(path).body[1:]:
            exports = (
                isinstance(node, ast.Assign) and {ast.unparse(target) for target in node.targets} <= allowed
            )
            if not exports and not isinstance(node, ast.Import | ast.ImportFrom):
                faults.append(f"{name(path)}:{node.lineno} {ast.unparse(node).splitlines()[0]}")
    assert not faults, f"move these into a module: {faults}"


def test_every_room_has_a_front_door():
    # Without one, import-linter does not see what is in the room.
    open_rooms = {name(path.parent) for path in ENGINE if not (path.parent / "__init__.py").exists()}
    assert not open_rooms, f"these folders need an __init__.py: {open_rooms}"


def test_everything_public_says_what_it_is_for():
    silent = [name(path) for path in ENGINE if not ast.get_docstring(tree(path))]
    for path in ENGINE:
        for node in tree(path).body:
            named = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if named and not ast.get_docstring(node):
                silent.append(f"{name(path)}:{node.lineno} {node.name}")
    assert not silent, f"these have no docstring: {silent}"


def test_everything_is_caught_only_in_the_agreed_places_and_with_a_reason():
    found: Counter[str] = Counter()
    without_reason = []
    for path in ENGINE:
        text = path.read_text().splitlines()
        for handler in catch_alls(tree(path)):
            found[name(path)] += 1
            around = text[handler.lineno - 2 : handler.body[0].lineno - 1]
            if not any("#" in line for line in around):
                without_reason.append(f"{name(path)}:{handler.lineno}")
    assert not without_reason, f"say beside it why everything is caught: {without_reason}"
    assert dict(found) == CATCHES_ALL, "agree on it, then write it into CATCHES_ALL"


def test_the_readme_can_be_read_in_one_go():
    assert lines(REPOSITORY / "README.md") <= README_LINES_MAX


def test_ci_finds_its_one_command_in_the_readme():
    found = re.findall(
        r"^<!-- command: test -->$.*?^```sh$\n(.*?)^```$", read("README.md"), flags=re.MULTILINE | re.DOTALL
    )
    assert len(found) == 1, "README.md has one ```sh block after its line <!-- command: test -->"
    assert found[0].count("\n") == 1
    assert "pytest" in found[0]


def test_the_example_environment_is_every_setting_with_its_default_and_meaning():
    meaning, shown, meanings = "", {}, {}
    for line in read(".env.example").partition("\n\n")[2].splitlines():
        if line.startswith("#"):
            meaning = f"{meaning} {line.removeprefix('# ')}".strip()
        elif line:
            variable, _, shown[variable] = line.partition("=")
            meanings[variable], meaning = meaning, ""
    fields = {f"WINDLASS_{field.upper()}": facts for field, facts in Settings.model_fields.items()}
    assert list(shown) == list(fields)
    assert meanings == {variable: facts.description for variable, facts in fields.items()}
    assert load_settings(shown) == load_settings({})
    assert all(shown[variable] or facts.default == "" for variable, facts in fields.items())


def test_no_file_names_a_registry_or_a_folder_of_somebodys_machine():
    hosts = [
        "pypi" + ".org",
        "python" + "hosted",
        "registry.npm" + "js",
        "deb.debian" + ".org",
        "crates" + ".io",
    ]
    options = ["--index" + "-url", "--extra-index" + "-url", "--find" + "-links"]
    machine = re.compile(r"(?<![\w.})>*-])/(?:root|work|home/\w+|Users/\w+)/")
    faults = []
    for path, text in our_texts():
        for number, line in enumerate(text.splitlines(), start=1):
            # Telling the lock's maker to leave them out is the one good reason to name these options.
            asks = [option for option in options if option in line.replace("--no-emit-", "")]
            if asks or any(host in line for host in hosts) or machine.search(line):
                faults.append(f"{name(path)}:{number} {line.strip()[:80]}")
    assert not faults, faults


def test_what_the_architecture_page_names_exists():
    page = REPOSITORY / "ARCHITECTURE.md"
    if not page.exists():
        pytest.skip("ARCHITECTURE.md is not written yet")
    missing = []
    for word in set(re.findall(r"`([\w./*-]+)`", page.read_text())):
        if re.match(r"(windlass|sql|cascades|tests|benchmarks)/", word):
            if not list(REPOSITORY.glob(word.rstrip("/"))):
                missing.append(word)
        elif re.fullmatch(r"windlass(\.\w+)+", word) and not resolves(word):
            missing.append(word)
    assert not missing, f"ARCHITECTURE.md names what is not there: {sorted(missing)}"


def test_the_command_line_starts_without_the_heavy_libraries():
    code = "import sys, windlass.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(done.stdout.split())


def test_what_is_imported_is_declared_and_what_is_declared_is_imported():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    needed = {distribution(line) for line in project["dependencies"]}
    optional = {distribution(line) for line in project["optional-dependencies"]["embedded"]}
    owners = packages_distributions()
    packages = {package for path in ENGINE for package in imports(tree(path))} & owners.keys() - {"windlass"}
    imported = {package: {distribution(owner) for owner in owners[package]} for package in packages}
    undeclared = [package for package, by in imported.items() if not by & (needed | optional | COMPANIONS)]
    assert not undeclared, "imported, but not declared in pyproject.toml"
    unused = needed - set().union(*imported.values()) - set(NEEDED_UNSEEN)
    assert not unused, "declared in pyproject.toml, but never imported"


def name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def read(file: str) -> str:
    return (REPOSITORY / file).read_text()


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def distribution(requirement: str) -> str:
    """The normal form of a requirement's name: "PyYAML>=6" is pyyaml."""
    found = re.match(r"[\w.-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def catch_alls(module: ast.Module) -> Iterator[ast.ExceptHandler]:
    """Handlers of every exception, but for those that only tidy up and end in a bare `raise`."""
    for node in ast.walk(module):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = {"BaseException"} if node.type is None else {ast.unparse(part) for part in parts(node.type)}
        last = node.body[-1]
        if caught & {"Exception", "BaseException"} and not (isinstance(last, ast.Raise) and last.exc is None):
            yield node


def parts(expression: ast.expr) -> list[ast.expr]:
    return expression.elts if isinstance(expression, ast.Tuple) else [expression]


def imports(module: ast.Module) -> set[str]:
    """Top-level names of every package that the module imports, at its top or later."""
    found = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def our_texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the repository that is not made by a tool."""
    for path in sorted(REPOSITORY.rglob("*")):
        inside = path.relative_to(REPOSITORY).parts
        made = any(part in NOT_OURS or (part.startswith(".") and part != ".ci") for part in inside[:-1])
        if made or not path.is_file():
            continue
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or another binary file


def resolves(dotted: str) -> bool:
    """Is there a module, or something in a module, of that name?"""
    names = dotted.split(".")
    for end in range(len(names), 0, -1):
        try:
            found = import_module(".".join(names[:end]))
        except ModuleNotFoundError:
            continue
        for attribute in names[end:]:
            if not hasattr(found, attribute):
                return False
            found = getattr(found, attribute)
        return True
    return False
