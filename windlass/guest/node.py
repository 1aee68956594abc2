"""JavaScript in Node: `data`, `input`, `outputs` and `state` as in Python, `result` to be set.

`data.x` is an array of objects where x made rows, else its output. What is large goes through files: the
tables that the code can name are written as JSON lines and read when they are first used. The code runs
as the body of an async function, so that `await` works, and `return value` does what `result = value`
does.
"""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from windlass.errors import AuthorError
from windlass.guest.execute import Ran
from windlass.guest.failures import GuestFailure, clip
from windlass.guest.mirror import Mirror
from windlass.guest.processes import OutputTooLarge, run_program
from windlass.records import Failure, Json
from windlass.scratch import Scratch, quote_name

# Ways to reach a phase's data without writing its name.
_REACHES_ALL = re.compile(
    r"data\s*\[|Object\.|\bin\s+data\b|JSON\.stringify\(\s*data\s*\)|\(\s*data\s*[,)]|\.\.\.\s*data\b"
)


def run_script(
    code: str,
    *,
    phase: str,
    mirror: Mirror,
    begin: Callable[[], Scratch],
    scratch: Scratch,
    folder: Path,
    artifacts: Path,
    environ: Mapping[str, str],
    bytes_max: int,
    names: Mapping[str, Json],
) -> Ran:
    """Run `code`.

    Args:
        begin: starts the phase's transaction; called when a table is needed.
        folder: the session's, for the files in between.
        bytes_max: how much it may print, and how large its result may be.
        names: further variables.

    Raises:
        GuestFailure: Node isn't there, the code raised, or it set no result.
    """
    program = shutil.which("node", path=environ.get("PATH"))
    if program is None:
        raise _failed(
            phase, "js_data needs Node.js, and there is no `node` on PATH", hint="install Node.js 18 or newer"
        )
    work = folder / "js"
    work.mkdir(exist_ok=True)
    tables = _write_tables(code, mirror, begin, scratch, work)
    request = {
        "code": code, "phase": phase, "tables": tables, "input": mirror.input, "outputs": mirror.outputs,
        "state": mirror.state, "names": dict(names) | {"artifacts": str(artifacts)},
        "answer": str(work / "answer.json"),
    }  # fmt: skip
    (work / "request.json").write_text(json.dumps(request), encoding="utf-8")
    (work / "answer.json").unlink(missing_ok=True)
    host = resources.files("windlass.guest").joinpath("host.js")
    try:
        with resources.as_file(host) as file:
            done = run_program(
                [program, str(file), str(work / "request.json")],
                environ=environ,
                stdin=None,
                bytes_max=bytes_max,
            )
        answer = _read_answer(work / "answer.json", phase, done.exit_code, done.stderr)
    except OutputTooLarge as error:
        raise _failed(phase, error.message, hint=error.hint) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if "error" in answer:
        told = answer["error"]
        raise _failed(phase, told["message"], detail=clip(told["stack"]), line=int(told["line"]))
    if not answer["is_set"]:
        raise AuthorError("the code must set result", hint="for example: result = data.tickets.length")
    state = {key: value for key, value in answer["state"].items() if mirror.state.get(key, ...) != value}
    return Ran(answer["result"], True, state)


def _write_tables(
    code: str, mirror: Mirror, begin: Callable[[], Scratch], scratch: Scratch, work: Path
) -> dict[str, str]:
    """Files of the tables that the code may use, by the name after `data.`."""
    takes_all = _REACHES_ALL.search(code) is not None
    files: dict[str, str] = {}
    named = {name.removeprefix("_") for name in scratch.table_names()} | mirror.outputs.keys()
    for number, name in enumerate(sorted(named)):
        table = f"_{name}" if scratch.has_table(f"_{name}") else name
        if not (takes_all or name in code) or not scratch.has_table(table):
            continue
        open_scratch = begin()
        open_scratch.need(table)
        file = work / f"{number}.jsonl"
        target = "'" + str(file).replace("'", "''") + "'"
        open_scratch.connection.execute(f"COPY {quote_name(table)} TO {target} (FORMAT json)").fetchall()
        files[name] = str(file)
    return files


def _read_answer(file: Path, phase: str, exit_code: int, stderr: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise _failed(
            phase, f"Node ended with {exit_code} before the code was done", detail=stderr,
            hint="process.exit() ends a phase as a failure",
        ) from None  # fmt: skip
    return answer


def _failed(phase: str, message: str, *, detail: str = "", hint: str = "", line: int = 0) -> GuestFailure:
    return GuestFailure(Failure(phase=phase, kind="js", message=message, detail=detail, hint=hint, line=line))
