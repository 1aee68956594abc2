"""One store and one worker for all tests of a file: the engine takes a second to start.

A file that says `STORES = ("embedded", "http", "server")` runs on each of them: the embedded store, one that
a `windlass clickhouse` serves, and a ClickHouse server in a container where Docker answers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.containers import clickhouse_server
from tests.serving import Serving
from windlass.config import Settings, load_settings
from windlass.model import parse_cascade
from windlass.records import LogLine
from windlass.store import Store, open_store
from windlass.worker import Footing, LocalWorker

Report = dict[str, Any]


class Engine:
    """Runs cascades that are given as text."""

    def __init__(self, settings: Settings, store: Store, worker: LocalWorker, lines: list[LogLine]) -> None:
        self.settings = settings
        self.store = store
        self.worker = worker
        self.lines = lines

    def submit(self, folder: Path, text: str, **given: Any) -> str:
        """Submit the cascade; returns its session's id."""
        path = folder / "cascade.yaml"
        path.write_text(text)
        cascade = parse_cascade(text, source=str(path), folder=folder)
        return self.worker.submit(cascade, given).session_id

    def run(self, folder: Path, text: str, **given: Any) -> Report:
        """Run the cascade to its end; returns the report."""
        return self.worker.run(self.submit(folder, text, **given))

    def events(self, session_id: str) -> list[str]:
        """The session's events so far, in order, as `event phase`."""
        return [f"{line.event} {line.phase}".strip() for line in self.lines if line.session_id == session_id]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a file's tests on the stores that it names."""
    if "engine" in metafunc.fixturenames:
        stores = getattr(metafunc.module, "STORES", ("embedded",))
        metafunc.parametrize("engine", stores, indirect=True, scope="module")


@pytest.fixture(scope="module")
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = {"embedded": embedded, "http": served, "server": container}[request.param]
    root = tmp_path_factory.mktemp("root")
    with made(tmp_path_factory.mktemp("store")) as store_settings:
        settings = load_settings({"WINDLASS_ROOT": str(root), "WINDLASS_MEMORY_MB": "1024", **store_settings})
        lines: list[LogLine] = []
        with (
            Footing(settings) as footing,
            open_store(settings) as store,
            LocalWorker(settings=settings, store=store, footing=footing, watch=lines.append) as worker,
        ):
            assert store.is_embedded == (request.param == "embedded")
            yield Engine(settings, store, worker, lines)


@contextmanager
def embedded(folder: Path) -> Iterator[dict[str, str]]:
    """Settings for a store in this process."""
    yield {"WINDLASS_CLICKHOUSE_PATH": str(folder)}


@contextmanager
def served(folder: Path) -> Iterator[dict[str, str]]:
    """Settings for a store that a `windlass clickhouse` serves."""
    with Serving(folder) as serving:
        yield {"WINDLASS_CLICKHOUSE_URL": serving.url}


@contextmanager
def container(folder: Path) -> Iterator[dict[str, str]]:
    """Settings for a ClickHouse server in a container."""
    with clickhouse_server() as url:
        yield {"WINDLASS_CLICKHOUSE_URL": url}


@pytest.fixture
def run(engine: Engine, tmp_path: Path) -> Callable[..., Report]:
    """Run the text of a cascade with an input; returns the report."""

    def run_text(text: str, **given: Any) -> Report:
        return engine.run(tmp_path, text, **given)

    return run_text
