"""Who runs sessions: workers, their proof of life and what they put together."""

from windlass.worker.adoption import Busy
from windlass.worker.footing import Footing
from windlass.worker.inputs import InputError, checked_input
from windlass.worker.local import LocalWorker

__all__ = ["Busy", "Footing", "InputError", "LocalWorker", "checked_input"]
