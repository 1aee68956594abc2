"""One embedded store and one worker for all tests of a file: the engine takes a second to start."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    settings = load_settings(
        {"WINDLASS_ROOT": str(tmp_path_factory.mktemp("root")), "WINDLASS_MEMORY_MB": "1024"}
    )
    lines: list[LogLine] = []
    with (
        Footing(settings) as footing,
        open_store(settings) as store,
        LocalWorker(settings=settings, store=store, footing=footing, watch=lines.append) as worker,
    ):
        yield Engine(settings, store, worker, lines)


@pytest.fixture
def run(engine: Engine, tmp_path: Path) -> Callable[..., Report]:
    """Run the text of a cascade with an input; returns the report."""

    def run_text(text: str, **given: Any) -> Report:
        return engine.run(tmp_path, text, **given)

    return run_text
