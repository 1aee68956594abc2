"""The service of a session's child, asked in this process."""

import json
from pathlib import Path
from typing import Any

from windlass.guest.service import Service


class Session:
    """A service and the changes that its worker would tell it."""

    def __init__(self, folder: Path, *, bundle: Path, saved: list | None = None, **options: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.service = Service(
            {"folder": str(folder), "bundle": str(bundle), "memory_bytes": 1 << 30, **options}
        )
        self.service.handle("start", {"input": {"n": 1}, "saved": saved or []})
        self.changes: list = []
        self.saved: list = []

    def ask(self, method: str, phase: str, **params: Any) -> dict:
        reply = self.service.handle(method, {"phase": phase, "changes": self.changes, **params})
        json.dumps(reply)
        self.changes = []
        if "failure" not in reply:
            self.changes = [("outputs", phase, reply["output"])]
            self.changes += [("state", name, value) for name, value in reply["state"].items()]
            self.saved += reply["saved"]
        return reply

    def python(self, code: str, phase: str = "p", **params: Any) -> Any:
        reply = self.ask("python", phase, code=code, **params)
        assert "failure" not in reply, reply
        return reply["output"]

    def sql(self, text: str, phase: str = "q", **params: Any) -> dict:
        reply = self.ask("sql", phase, text=text, **params)
        assert "failure" not in reply, reply
        return reply["output"]

    def fails(self, method: str, phase: str = "p", **params: Any) -> dict:
        return self.ask(method, phase, **params)["failure"]
