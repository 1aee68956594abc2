"""The worker's side of a session's child: calls, what comes back, and a new child when one is gone.

    no child ──first call──> child ──call──> reply | failure
        └──< died, timed out, stopped <──────┘

A child that ended takes its scratch with it; the next call starts another, which is told everything that the
session has saved so far and restores it when it is needed.

Failure: an end of the child is a `GuestFailure` (timeout, memory, processes, died); a stop is
`ChildStopped`, for the runner to turn into the reason it knows.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from windlass.echo import Echo
from windlass.guest.failures import GuestFailure, from_reply
from windlass.guest.log import OutputLog
from windlass.records import Failure, Json, JsonObject, SavedFile, SavedObject
from windlass.sandbox import Child, ChildDied, ChildTimeout

Saved: TypeAlias = Sequence[SavedObject]

# Telling a new child what the session knows; it reads nothing but the request.
START_S = 30.0
# What an end by a signal or an exit code usually means, for people.
_MEANINGS = {
    "memory": ("memory", "it used more memory than the session may have"),
    "processes": ("processes", "it started more processes than the session may have"),
    "cpu": ("timeout", "it used more processor time than the session may have"),
    "deadline": ("died", "the worker had lost its right to the session"),
}
_SIGNALS = {
    6: "abort(): a library found its own state broken",
    7: "a bus error: a mapped file became shorter, or the disk is full",
    9: "killed from outside: usually the machine is out of memory",
    11: "a crash in compiled code (segmentation fault)",
    15: "terminated from outside",
    25: "a file grew over the limit; WINDLASS_FILE_MB sets it",
}


@dataclass(frozen=True, slots=True)
class GuestReply:
    """What a phase's work in the child came to.

    Attributes:
        output: the phase's output.
        route: `_route` of its result, or "".
        state: keys of the state it set.
        saved: what it left in the scratch, as files in the session's folder.
        files: artifacts it made.
    """

    output: Json
    route: str = ""
    state: JsonObject = field(default_factory=dict)
    saved: tuple[SavedObject, ...] = ()
    files: tuple[SavedFile, ...] = ()


class Guest:
    """One session's child, as the session's thread uses it.

    Args:
        spawn: starts a child whose service is `windlass.guest.service:Service`.
        restored: gives what the session has saved so far, in order; called when a child is started, so that
            files are fetched only then.
        echo: the session's echo; the child is sent what changed in it.
        stop: set from any thread when the work must end.
        log: takes (level, text) for each printed line: info for stdout, warning for stderr.
        log_bytes_max: how much printed text of one call is kept; the rest is counted.
    """

    def __init__(
        self,
        *,
        spawn: Callable[[], Child],
        restored: Callable[[], Saved],
        echo: Echo,
        stop: threading.Event,
        log: Callable[[str, str], None],
        log_bytes_max: int,
    ) -> None:
        self._spawn = spawn
        self._restored = restored
        self._echo = echo
        self._stop = stop
        self._log = log
        self._log_bytes_max = log_bytes_max
        self._child: Child | None = None
        self._mark = 0

    @property
    def child(self) -> Child | None:
        """The child that runs now, if there is one; for the lease's deadline."""
        return self._child

    def sql(
        self,
        *,
        phase: str,
        text: str,
        params: Json = None,
        limit: int | None = None,
        materialize: bool = True,
        timeout_s: float | None = None,
    ) -> GuestReply:
        """Run SQL over the scratch; rows become the table `_<phase>`.

        Args:
            phase: its name.
            text: rendered SQL, several statements if need be.
            params: values for `?` (a list) or `$name` (an object).
            limit: at most so many rows, None for all.
            materialize: False: the rows are only shown, and no table is made.
            timeout_s: seconds until the child is killed, None for no limit.

        Raises:
            GuestFailure, ChildStopped: see the module.
        """
        request = {"phase": phase, "text": text, "params": params, "limit": limit, "materialize": materialize}
        return self._call("sql", request, timeout_s)

    def python(
        self,
        *,
        phase: str,
        code: str,
        names: Mapping[str, Json],
        dialect: str = "python",
        timeout_s: float | None = None,
    ) -> GuestReply:
        """Run Python code that sets `result`.

        Args:
            phase: its name, the file name in tracebacks.
            code: the code, as the author wrote it.
            names: further variables: session_id, idempotency_key, row, item …
            dialect: python, or python_data (pd and np are there, `result` must be set; see `results`).
            timeout_s: seconds until the child is killed, None for no limit.

        Raises:
            GuestFailure, ChildStopped: see the module.
        """
        request = {"phase": phase, "code": code, "names": dict(names), "dialect": dialect}
        return self._call("python", request, timeout_s)

    def call_function(
        self, *, phase: str, function: str, inputs: Mapping[str, Json], timeout_s: float | None = None
    ) -> GuestReply:
        """Call the function `module.name` of the cascade's modules with inputs by name.

        Raises:
            GuestFailure, ChildStopped: see the module.
        """
        return self._call("python", {"phase": phase, "function": function, "inputs": dict(inputs)}, timeout_s)

    def shell(
        self,
        *,
        phase: str,
        script: str,
        env: Mapping[str, str],
        input_table: str = "",
        output_format: str = "text",
        persist_session: bool = False,
        timeout_s: float | None = None,
    ) -> GuestReply:
        """Run a bash script; its stdout is the output.

        Args:
            phase: its name, `$0` of the script.
            script: the script.
            env: variables besides the child's own and WINDLASS_ARTIFACTS; the caller puts
                WINDLASS_SESSION_ID and WINDLASS_IDEMPOTENCY_KEY here.
            input_table: a table that is CSV on stdin, "" for none.
            output_format: text, json, jsonl, csv or auto; rows become the table `_<phase>`.
            persist_session: run it in the session's one lasting shell.
            timeout_s: seconds until the child is killed, None for no limit.

        Raises:
            GuestFailure, ChildStopped: see the module.
        """
        request = {
            "phase": phase, "script": script, "env": dict(env), "input_table": input_table,
            "output_format": output_format, "persist": persist_session,
        }  # fmt: skip
        return self._call("shell", request, timeout_s)

    def js(
        self,
        *,
        phase: str,
        code: str,
        names: Mapping[str, Json] | None = None,
        timeout_s: float | None = None,
    ) -> GuestReply:
        """Run JavaScript in Node that sets `result`.

        Raises:
            GuestFailure, ChildStopped: see the module.
        """
        return self._call("js", {"phase": phase, "code": code, "names": dict(names or {})}, timeout_s)

    def table(self, *, phase: str, rows: Sequence[JsonObject], timeout_s: float | None = None) -> GuestReply:
        """Make the table `_<phase>` of rows; the output is {rows, columns, row_count, truncated}.

        Raises:
            GuestFailure, ChildStopped: see the module.
        """
        return self._call("table", {"phase": phase, "rows": [dict(row) for row in rows]}, timeout_s)

    def load_table(self, *, phase: str, path: str, timeout_s: float | None = None) -> GuestReply:
        """As `table`, of an Arrow file.

        Raises:
            GuestFailure, ChildStopped: see the module.
        """
        return self._call("table", {"phase": phase, "path": path}, timeout_s)

    def shape(self, *, phase: str, value: Json, dialect: str, timeout_s: float | None = None) -> GuestReply:
        """Make of a value that inline code left what `python` would make of it, its tables included.

        Raises:
            GuestFailure, ChildStopped: see the module.
        """
        return self._call("table", {"phase": phase, "value": value, "dialect": dialect}, timeout_s)

    def export(self, *, phase: str, table: str, path: str, timeout_s: float | None = None) -> GuestReply:
        """Write a table to an Arrow file; the output is the names of its DATE columns.

        Raises:
            GuestFailure, ChildStopped: see the module.
        """
        return self._call("export", {"phase": phase, "table": table, "path": path}, timeout_s)

    def close(self, *, keep: bool = False) -> None:
        """Let the child go.

        Args:
            keep: make the scratch's file whole first, for somebody to look at.
        """
        child, self._child = self._child, None
        if child is None:
            return
        if keep:
            child.close()  # the service makes the file whole when the worker lets go in peace
        else:
            child.kill()

    def _call(self, method: str, request: dict[str, Any], timeout_s: float | None) -> GuestReply:
        output = OutputLog(self._log, bytes_max=self._log_bytes_max)
        try:
            child = self._ready_child(output.take)
            changes, mark = self._echo.changes_since(self._mark)
            request["changes"] = [(change.part, change.name, change.value) for change in changes]
            answer = child.call(method, request, timeout_s=timeout_s, stop=self._stop, on_output=output.take)
            self._mark = mark
        except (ChildTimeout, ChildDied) as error:
            raise GuestFailure(_ended(error, request["phase"], timeout_s)) from None
        finally:
            output.finish()
            if self._child is not None and not self._child.is_alive:
                self._child = None
        if "failure" in answer:
            raise GuestFailure(from_reply(dict(answer["failure"])))
        return GuestReply(
            output=answer["output"],
            route=answer["route"],
            state=answer["state"],
            saved=tuple(SavedObject(**item) for item in answer["saved"]),
            files=tuple(SavedFile(**item) for item in answer["files"]),
        )

    def _ready_child(self, on_output: Callable[[str, bytes], None]) -> Child:
        if self._child is not None and self._child.is_alive:
            return self._child
        saved = self._restored()
        self._child = self._spawn()
        self._mark = 0
        start = {"input": dict(self._echo.input), "saved": [asdict(item) for item in saved]}
        self._child.call("start", start, timeout_s=START_S, stop=self._stop, on_output=on_output)
        return self._child


def _ended(error: ChildTimeout | ChildDied, phase: str, timeout_s: float | None) -> Failure:
    if isinstance(error, ChildTimeout):
        return Failure(
            phase=phase, kind="timeout", message=f"the phase took longer than {timeout_s:g} s and was killed"
            if timeout_s is not None else "the phase took too long and was killed",
            hint="raise the phase's timeout, or give it less to do",
        )  # fmt: skip
    kind, meaning = _MEANINGS.get(error.reason, ("died", ""))
    if not meaning and error.signal is not None:
        meaning = _SIGNALS.get(error.signal, f"signal {error.signal}")
    if not meaning and error.exit_code is not None:
        meaning = (
            f"its code ended the process itself (exit code {error.exit_code}), for instance with os._exit()"
        )
    hints = {
        "memory": "the cascade's limits or WINDLASS_MEMORY_MB set how much; leave large tables in SQL",
        "processes": "the cascade's limits or WINDLASS_PROCESSES_MAX set how many",
    }
    return Failure(
        phase=phase, kind=kind, message=f"the session's child ended: {meaning or error.message}",
        detail=error.message, hint=hints.get(kind, ""),
    )  # fmt: skip
