"""What runs inside a session's child: authors' SQL, Python, shell and JavaScript over one scratch.

    handle(method, params) ──> {"output", "route", "state", "saved", "files"}   committed
                           └─> {"failure": …}                                  rolled back, files removed

Every request may carry `changes` to the echo since the last one. A phase that touches no table opens no
database: the transaction starts when the scratch is first used.

Failure: authors' errors are caught here and told as failures; after one of them nothing of the phase
remains. The end of the process (exit, crash, kill, a limit) is the sandbox's to tell.
"""

import contextlib
import dataclasses
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from windlass.errors import AuthorError
from windlass.guest import shell
from windlass.guest.artifacts import Artifacts
from windlass.guest.data import Data
from windlass.guest.execute import Executor, Ran
from windlass.guest.failures import GuestFailure, as_reply, python_failure, sql_failure, value_failure
from windlass.guest.frames import preview, read_frame, rows_to_arrow, write_frame
from windlass.guest.mirror import Mirror
from windlass.guest.query import Folders, run_sql
from windlass.guest.results import (
    check_size,
    frame_output,
    is_frame,
    is_rows,
    route_of,
    shape_data,
    shape_python,
)
from windlass.guest.values import to_json
from windlass.records import Failure, Json, JsonObject, SavedObject
from windlass.scratch import Made, Scratch, ScratchError

Reply = dict[str, Any]


class Service:
    """The session's own.

    Args:
        options: {folder, bundle, search, artifacts, readable, writable, memory_bytes, output_bytes_max}:
            where the session's files, the cascade's files and modules are, what SQL may read and write
            besides, and how much memory the child has and an output may be. All but folder and bundle
            may be left out.
    """

    def __init__(self, options: JsonObject) -> None:
        self._folder = Path(options["folder"])
        self._bundle = Path(options["bundle"])
        self._writable = tuple(Path(path) for path in options.get("writable", ()))
        self._bytes_max = int(options.get("output_bytes_max", 16 << 20))
        self._saved_folder = self._folder / "saved"
        self._saved_folder.mkdir(parents=True, exist_ok=True)
        self._artifacts = Artifacts(Path(options.get("artifacts") or self._folder / "artifacts"))
        self._scratch = Scratch(
            self._folder,
            bundle=self._bundle,
            readable=[Path(path) for path in options.get("readable", ())],
            writable=[self._artifacts.folder, *self._writable],
            memory_bytes=int(options.get("memory_bytes", 4 << 30)),
        )
        self._mirror = Mirror()
        self._executor = Executor([str(self._bundle), *map(str, options.get("search", ()))])
        self._shell: shell.PersistentShell | None = None
        self._environ = dict(os.environ)
        self._pid = os.getpid()
        os.chdir(self._bundle)
        sys.dont_write_bytecode = True  # the bundle is content-addressed: nothing may appear in it
        _reseed()
        self._methods: dict[str, Callable[[JsonObject], Reply]] = {
            "sql": self._sql, "python": self._python, "shell": self._run_shell, "js": self._js,
            "table": self._table, "export": self._export,
        }  # fmt: skip

    def handle(self, method: str, params: JsonObject) -> Reply:
        """Do one request.

        Args:
            method: start, sql, python, shell, js, table or export.
            params: {phase, changes, …} as `windlass.guest.client` sends them.

        Returns:
            The reply, or {"failure": …}.
        """
        if method == "start":
            self._mirror = Mirror(params["input"])
            self._scratch.know(SavedObject(**item) for item in params.get("saved", ()))
            return {}
        self._mirror.apply(params.get("changes", ()))
        phase = params["phase"]
        self._artifacts.mark()
        try:
            with self._clean_surroundings():
                reply = self._methods[method](params)
                if os.getpid() != self._pid:
                    os._exit(0)  # a fork that the author's code made; only its parent may commit
                saved = self._finish(reply)
                reply["files"] = [dataclasses.asdict(item) for item in self._artifacts.collect()]
            self._commit(*saved)
            reply["saved"] = [dataclasses.asdict(item) for item in saved[1]]
            return reply
        except BaseException as error:
            # A phase's execution: whatever an author's code raises ends here, SystemExit and Ctrl-C included.
            if os.getpid() != self._pid:
                os._exit(1)
            failure = self._failure(error, phase)
            self._undo()
            if failure.kind == "memory":
                del error
                gc.collect()  # what the failed code held: most of the memory there is
            return as_reply(failure)

    def close(self) -> None:
        """End what runs and make the scratch's file whole, so that it may be kept."""
        if self._shell is not None:
            self._shell.close()
        self._scratch.close()

    # --- one phase ---

    def _begin(self, phase: str) -> Scratch:
        """The scratch, with the phase's transaction begun."""
        if not self._scratch.in_phase:
            self._scratch.begin(phase)
        return self._scratch

    def _finish(self, reply: Reply) -> tuple[Made, list[SavedObject]]:
        """Check the output and save what was made."""
        reply.setdefault("state", {})
        reply.setdefault("route", route_of(reply["output"]))
        check_size(reply["output"], self._bytes_max)
        if not self._scratch.in_phase:
            return Made(), []
        made = self._scratch.made_by_phase()
        return made, self._scratch.save(made, into=self._saved_folder)

    def _commit(self, made: Made, saved: list[SavedObject]) -> None:
        if self._scratch.in_phase:
            self._scratch.commit(made)

    def _undo(self) -> None:
        self._scratch.rollback()
        self._artifacts.discard()

    def _failure(self, error: BaseException, phase: str) -> Failure:
        if isinstance(error, GuestFailure):
            return dataclasses.replace(error.failure, phase=phase)
        if isinstance(error, ScratchError):
            return sql_failure(error, phase=phase, line=0)
        if isinstance(error, AuthorError):
            return value_failure(error, phase=phase)
        return python_failure(error, phase=phase)

    @contextlib.contextmanager
    def _clean_surroundings(self) -> Any:
        """The bundle as working directory, our module path and environment; put right again afterwards."""
        self._executor.prepare()
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):  # the author may have closed it
                    stream.flush()
            os.chdir(self._bundle)
            if os.environ != self._environ:
                os.environ.clear()
                os.environ.update(self._environ)

    # --- the methods ---

    def _sql(self, params: JsonObject) -> Reply:
        phase = params["phase"]
        output = run_sql(
            self._begin(phase),
            params["text"],
            phase=phase,
            params=params.get("params"),
            folders=Folders(self._artifacts.folder, self._writable),
            limit=params.get("limit"),
            materialize=params.get("materialize", True),
        )
        return {"output": output}

    def _python(self, params: JsonObject) -> Reply:
        """params: {code} or {function, inputs}; {dialect: python | python_data, names: {row, item, …}}."""
        phase, is_data = params["phase"], params.get("dialect") == "python_data"
        dates: set[str] = set()
        if "function" in params:
            ran = Ran(self._executor.call(params["function"], params.get("inputs") or {}), True, {})
        else:
            ran = self._executor.run(
                params["code"], phase=phase, names=self._names(params, dates), mirror=self._mirror
            )
        if is_data and not ran.is_set:
            raise AuthorError("the code must set result", hint="for example: result = data.tickets.dropna()")
        return {"output": self._shape(ran.value, phase, is_data=is_data, dates=dates), "state": ran.state}

    def _names(self, params: JsonObject, dates: set[str]) -> dict[str, Any]:
        def read(table: str) -> Any:
            scratch = self._begin(params["phase"])
            scratch.need(table)
            frame, found = read_frame(scratch, table)
            dates.update(found)
            return frame

        names = dict(params.get("names") or {})
        names["data"] = Data(self._mirror, self._scratch.has_table, read)
        names["artifacts"] = self._artifacts.folder
        if params.get("dialect") == "python_data":
            import numpy
            import pandas

            names |= {"pd": pandas, "np": numpy}
        return names

    def _shape(self, value: Any, phase: str, *, is_data: bool, dates: set[str]) -> Json:
        table = f"_{phase}"
        if is_frame(value):
            return frame_output(self._begin(phase), table, value, dates)
        if is_data and isinstance(value, (dict, list)):
            return shape_data(self._begin(phase), table, value)
        if is_data:
            return {"result": to_json(value)}
        return shape_python(self._begin(phase), table, value) if is_rows(value) else to_json(value)

    def _run_shell(self, params: JsonObject) -> Reply:
        """params: {script, env, input_table, output_format, persist}."""
        phase = params["phase"]
        environ = (
            self._environ
            | dict(params.get("env") or {})
            | {"WINDLASS_ARTIFACTS": str(self._artifacts.folder)}
        )
        stdin = self._table_as_csv(params["input_table"], phase) if params.get("input_table") else None
        try:
            if params.get("persist"):
                data = self._persistent().run(
                    params["script"], phase=phase, environ=environ, stdin=stdin, bytes_max=self._bytes_max
                )
            else:
                with open(stdin or os.devnull, "rb") as source:
                    data = shell.run_script(
                        params["script"],
                        phase=phase,
                        environ=environ,
                        stdin=source,
                        bytes_max=self._bytes_max,
                    )
        finally:
            if stdin is not None:
                stdin.unlink(missing_ok=True)
        value = shell.parse_output(data, params.get("output_format") or "text", phase)
        if is_rows(value):
            scratch = self._begin(phase)
            return {
                "output": preview(
                    scratch, f"_{phase}", write_frame(scratch, f"_{phase}", rows_to_arrow(value))
                )
            }
        return {"output": value}

    def _persistent(self) -> shell.PersistentShell:
        if self._shell is None or not self._shell.is_alive:
            self._shell = shell.PersistentShell(environ=self._environ, folder=self._folder)
        return self._shell

    def _table_as_csv(self, table: str, phase: str) -> Path:
        scratch = self._begin(phase)
        if not scratch.has_table(table):
            raise shell.no_such_table(table, phase, scratch.table_names())
        scratch.need(table)
        return scratch.write_csv(table, self._folder / "stdin.csv")

    def _js(self, params: JsonObject) -> Reply:
        """params: {code}."""
        from windlass.guest import node

        phase = params["phase"]
        ran = node.run_script(
            params["code"], phase=phase, mirror=self._mirror, begin=lambda: self._begin(phase),
            scratch=self._scratch,
            folder=self._folder, environ=self._environ, bytes_max=self._bytes_max,
            names=dict(params.get("names") or {}),
            artifacts=self._artifacts.folder,
        )  # fmt: skip
        return {"output": self._shape(ran.value, phase, is_data=True, dates=set()), "state": ran.state}

    def _table(self, params: JsonObject) -> Reply:
        """params: {rows}, {path} of an Arrow file, or {value, dialect} of inline code; made `_<phase>`."""
        phase = params["phase"]
        scratch = self._begin(phase)
        if "path" in params:
            import pyarrow as pa

            with pa.memory_map(params["path"]) as source:
                arrow = pa.ipc.open_file(source).read_all()
                return {"output": preview(scratch, f"_{phase}", write_frame(scratch, f"_{phase}", arrow))}
        if "value" in params:
            is_data = params["dialect"] == "python_data"
            return {"output": self._shape(params["value"], phase, is_data=is_data, dates=set())}
        return {"output": shape_data(scratch, f"_{phase}", list(params["rows"]))}

    def _export(self, params: JsonObject) -> Reply:
        """params: {table, path}: the table as an Arrow file, for code that runs in the worker."""
        import pyarrow as pa

        scratch = self._begin(params["phase"])
        scratch.need(params["table"])
        frame, dates = read_frame(scratch, params["table"])
        arrow = pa.Table.from_pandas(frame)
        with pa.OSFile(params["path"], "wb") as sink, pa.ipc.new_file(sink, arrow.schema) as writer:
            writer.write_table(arrow)
        return {"output": sorted(dates)}


def _reseed() -> None:
    """Give this child random numbers of its own: a fork inherits numpy's state and would repeat them.

    Python's own `random` sees to that by itself, and numpy where it is imported only later.
    """
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
