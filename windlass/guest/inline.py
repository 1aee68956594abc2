"""`isolation: inline`: an author's Python in the worker's own process, for code that is trusted and light.

The same names as in the child, at the cost of the code itself; a child is started only when `data.x` is
a table or the result is one. What it gives up, besides isolation:

* A timeout or a cancel can't end code that runs here; both are seen when it returns.
* Only `print` goes to the log (it is a name of the code's own, since a process has one `sys.stdout` for
  all its threads).
* Modules beside the cascade can't be imported: two cascades may have modules of one name, and a process
  has one table.
* The working directory and the environment are the worker's. Tables that are not a phase's own are not
  in `data`.

Failure: as in the child, with the author's lines; a failed phase leaves no files in artifacts.
"""

import dataclasses
import io
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from windlass.echo import Echo
from windlass.errors import AuthorError, WindlassError
from windlass.guest.artifacts import Artifacts
from windlass.guest.client import Guest, GuestReply
from windlass.guest.data import Data
from windlass.guest.execute import Executor, Ran
from windlass.guest.failures import GuestFailure, python_failure, value_failure
from windlass.guest.frames import to_arrow
from windlass.guest.log import OutputLog
from windlass.guest.mirror import Mirror
from windlass.guest.results import check_size, is_frame, is_rows, route_of
from windlass.guest.values import to_json
from windlass.records import Json


class InlinePython:
    """Runs `python` phases of one session in this process. The session's thread uses it.

    Args:
        guest: the session's child, for tables.
        echo: the session's echo.
        folder: the session's own folder, the same that the child was given.
        artifacts: the session's artifacts folder, the same that the child was given.
        log: takes (level, text) of what the code prints.
        log_bytes_max: how much of it is kept.
        output_bytes_max: how large an output may be, in bytes of JSON.
    """

    def __init__(
        self,
        *,
        guest: Guest,
        echo: Echo,
        folder: Path,
        artifacts: Path,
        log: Callable[[str, str], None],
        log_bytes_max: int,
        output_bytes_max: int,
    ) -> None:
        self._guest = guest
        self._echo = echo
        self._folder = folder
        self._artifacts_folder = artifacts
        self._log = log
        self._log_bytes_max = log_bytes_max
        self._output_bytes_max = output_bytes_max
        self._executor = Executor([])
        self._count = 0

    def python(
        self,
        *,
        phase: str,
        code: str,
        names: Mapping[str, Json],
        dialect: str = "python",
        timeout_s: float | None = None,
    ) -> GuestReply:
        """Run code that sets `result`; as `Guest.python`.

        Args:
            phase: its name.
            code: the code.
            names: further variables.
            dialect: python or python_data.
            timeout_s: seconds it may take; a phase that took longer fails when it is done.

        Raises:
            GuestFailure: the code failed.
        """
        started_s = time.monotonic()
        artifacts = Artifacts(self._artifacts_folder)
        printed = OutputLog(self._log, bytes_max=self._log_bytes_max)
        try:
            reply = self._run(phase, code, names, dialect, artifacts, printed)
            took_s = time.monotonic() - started_s
            if timeout_s is not None and took_s > timeout_s:
                raise AuthorError(
                    f"the phase took {took_s:.1f} s; its timeout is {timeout_s:g} s",
                    hint="inline code can't be stopped",
                )
            return dataclasses.replace(reply, files=tuple(artifacts.collect()))
        except KeyboardInterrupt:
            artifacts.discard()
            raise  # it is for the worker, not for the code
        except GuestFailure:
            artifacts.discard()
            raise
        except BaseException as error:
            # A phase's execution: whatever an author's code raises ends here.
            artifacts.discard()
            raise self._failure(error, phase) from None
        finally:
            printed.finish()

    def _failure(self, error: BaseException, phase: str) -> GuestFailure:
        if isinstance(error, AuthorError):
            return GuestFailure(value_failure(error, phase=phase))
        if isinstance(error, WindlassError):
            raise error  # a stop, or a child that can't be started: not the code's doing
        failure = python_failure(error, phase=phase)
        if isinstance(error, ModuleNotFoundError):
            failure = dataclasses.replace(
                failure,
                hint="inline code can't import modules beside the cascade; leave out `isolation: inline`",
            )
        return GuestFailure(failure)

    def _run(
        self,
        phase: str,
        code: str,
        names: Mapping[str, Json],
        dialect: str,
        artifacts: Artifacts,
        printed: OutputLog,
    ) -> GuestReply:
        mirror = Mirror()
        mirror.input, mirror.outputs, mirror.state = (
            dict(self._echo.input),
            self._echo.outputs,
            self._echo.state,
        )
        dates: set[str] = set()
        scope: dict[str, Any] = dict(names)
        scope["data"] = Data(mirror, self._has_table, partial(self._read_table, phase, dates))
        scope["artifacts"] = artifacts.folder
        scope["print"] = partial(_print, printed)
        if dialect == "python_data":
            import numpy
            import pandas

            scope |= {"pd": pandas, "np": numpy}
        ran = self._executor.run(code, phase=phase, names=scope, mirror=mirror)
        if dialect == "python_data" and not ran.is_set:
            raise AuthorError("the code must set result", hint="for example: result = data.tickets.dropna()")
        reply = self._shape(ran, phase, dialect, dates)
        check_size(reply.output, self._output_bytes_max)
        return dataclasses.replace(reply, state=ran.state)

    def _shape(self, ran: Ran, phase: str, dialect: str, dates: set[str]) -> GuestReply:
        value = ran.value
        if is_frame(value):
            path = self._write_table(to_arrow(value, dates))
            try:
                return self._guest.load_table(phase=phase, path=str(path))
            finally:
                path.unlink(missing_ok=True)
        output = to_json(value)
        is_data = dialect == "python_data"
        if is_rows(value) or (is_data and isinstance(output, (dict, list))):
            return self._guest.shape(phase=phase, value=output, dialect=dialect)
        return GuestReply(output={"result": output} if is_data else output, route=route_of(output))

    def _has_table(self, table: str) -> bool:
        """Did the phase of this table make rows? Its output tells, so that no child is asked."""
        output = self._echo.outputs.get(table.removeprefix("_")) if table.startswith("_") else None
        if isinstance(output, dict):
            return bool(output.get("columns")) and "row_count" in output and "rows" in output
        return is_rows(output)

    def _read_table(self, phase: str, dates: set[str], table: str) -> Any:
        import pyarrow as pa

        path = self._next_path()
        try:
            reply = self._guest.export(phase=phase, table=table, path=str(path))
            with pa.memory_map(str(path)) as source:
                frame = pa.ipc.open_file(source).read_pandas()
        finally:
            path.unlink(missing_ok=True)
        dates.update(reply.output)
        return frame

    def _write_table(self, arrow: Any) -> Path:
        import pyarrow as pa

        path = self._next_path()
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, arrow.schema) as writer:
            writer.write_table(arrow)
        return path

    def _next_path(self) -> Path:
        self._count += 1
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"inline-{self._count}.arrow"


def _print(
    printed: OutputLog,
    *values: Any,
    sep: str | None = " ",
    end: str | None = "\n",
    file: Any = None,
    flush: bool = False,
) -> None:
    if file is not None:
        print(*values, sep=sep, end=end, file=file, flush=flush)
        return
    text = io.StringIO()
    print(*values, sep=sep, end=end, file=text)
    printed.take("stdout", text.getvalue().encode(errors="backslashreplace"))
