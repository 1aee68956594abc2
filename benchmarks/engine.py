"""A worker for benchmarks that run sessions in their own process."""

from collections.abc import Iterator
from contextlib import contextmanager

from windlass.config import Settings
from windlass.store import Store, open_store
from windlass.worker import Footing, LocalWorker


@contextmanager
def running_worker(settings: Settings) -> Iterator[tuple[Store, LocalWorker]]:
    """The store that `settings` name and a worker on it."""
    with (
        Footing(settings) as footing,
        open_store(settings) as store,
        LocalWorker(settings=settings, store=store, footing=footing) as worker,
    ):
        yield store, worker
