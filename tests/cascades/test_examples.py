"""Every example of `cascades/` runs through the command line and does what its header says."""

import json
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = sorted(
    str(path.relative_to(REPOSITORY / "cascades")) for path in (REPOSITORY / "cascades").rglob("*.yaml")
)

# What a test is given: the `windlass` fixture of conftest.py.
Windlass = Any


def hello(windlass: Windlass) -> None:
    report = windlass.run("hello.yaml", name="Ada")
    assert report["result"] == "Hello, Ada!"
    assert report["status"] == "completed"


def inputs(windlass: Windlass) -> None:
    assert windlass.run("inputs.yaml", letter="a", limit=2)["result"] == ["Earth", "Mars"]
    shouted = windlass.run("inputs.yaml", shout=True)
    assert shouted["result"] == ["MERCURY", "EARTH", "MARS"]
    quote = windlass.run("inputs.yaml", letter="'")  # bound, so not a piece of the query
    assert quote["result"] == []
    assert [phase["status"] for phase in quote["phases"]] == ["done", "done", "skipped", "done"]
    windlass.run_refused("inputs.yaml", letter="ab")


def routing(windlass: Windlass) -> None:
    assert windlass.run("routing.yaml", amount=80)["result"] == "80.00 paid, looked at by nobody"
    assert windlass.run("routing.yaml", amount=250)["result"] == "225.00 paid, looked at by a clerk"
    refused = windlass.run("routing.yaml", amount=-1)
    assert refused["result"] == "refused: an amount must be above zero"
    assert ran(refused) == ["sort", "refused"], "a branch without handoffs ends the session"


def retry_and_recover(windlass: Windlass) -> None:
    report = windlass.run("retry_and_recover.yaml")
    flaky, slow = report["phases"][:2]
    assert (flaky["status"], flaky["attempts"]) == ("done", 3)
    assert (slow["status"], slow["error"]["kind"]) == ("failed", "timeout")
    assert report["result"] == "answered at try 3; then used the figures of " + report["outputs"]["fallback"]
    assert slow["error"]["message"] in report["outputs"]["fallback"]
    assert ran(report) == ["flaky", "slow", "fallback", "last"]

    failed = windlass.run("retry_and_recover.yaml", hopeless=True, code=1)
    assert failed["status"] == "failed"
    assert (failed["error"]["phase"], failed["error"]["kind"]) == ("last", "python")
    assert ran(failed)[-1] == "alarm"
    assert "nothing can be done about this" in windlass.artifact(failed, "alarm.txt")
    kinds = windlass.sql(
        f"SELECT event, count() AS times FROM unified_logs WHERE session_id = '{failed['session_id']}' "
        "AND level != 'info' AND event != 'log' GROUP BY event ORDER BY event"
    )
    assert {row["event"]: int(row["times"]) for row in kinds} == {
        "attempt.failed": 2,
        "phase.failed": 2,
        "session.ended": 1,
    }


def access(windlass: Windlass) -> None:
    report = windlass.run("access.yaml", folder=str(REPOSITORY / "cascades" / "seattle_weather"))
    assert report["result"] == {"files": {"seattle-weather.csv": 1461}, "elsewhere": None}
    refused = next(phase for phase in report["phases"] if phase["name"] == "elsewhere")
    assert (refused["status"], refused["error"]["kind"]) == ("failed", "sql")
    assert windlass.artifact(report, "files.csv") == "file,rows\nseattle-weather.csv,1461\n"


def sub_cascade(windlass: Windlass) -> None:
    report = windlass.run("sub_cascade/sub_cascade.yaml", before=[1, 2, 3], after=[5, 7])
    assert report["result"]["mean"] == 4.0
    children = report["result"]["sessions"]
    rows = windlass.sql(
        f"SELECT session_id FROM sessions WHERE parent_session_id = '{report['session_id']}' ORDER BY 1"
    )
    assert sorted(children) == [row["session_id"] for row in rows]
    assert len(set(children)) == 2


def summary(windlass: Windlass) -> None:
    report = windlass.run("sub_cascade/summary.yaml", numbers=[1, 2, 4.5])
    assert report["result"] == {"count": 3, "mean": 2.5, "range": [1, 4.5]}
    windlass.run_refused("sub_cascade/summary.yaml", numbers=[])


def http_fetch(windlass: Windlass) -> None:
    with busy_server([{"name": "Ada", "born": 1815}, {"name": "Grace", "born": 1906}]) as (url, requests):
        report = windlass.run("http_fetch.yaml", url=url)
    assert report["result"] == "2 rows with name (VARCHAR), born (BIGINT)"
    assert report["phases"][0]["attempts"] == 2, "the first answer was 503"
    keys = [headers["Idempotency-Key"] for headers in requests]
    assert keys == [f"{report['session_id']}:fetch:1"] * 2, "each try carries the same key"


def shell_pipeline(windlass: Windlass) -> None:
    minutes = [(f"user{n * 7 % 5}", n * 13 % 40) for n in range(200)]
    counts: dict[str, int] = {}
    for who, spent in minutes:
        counts[who] = counts.get(who, 0) + (spent >= 30)
    best = sorted(((-count, who) for who, count in counts.items() if count))[:3]
    if shutil.which("node") is None:
        failed = windlass.run("shell_pipeline.yaml", code=1)
        assert "Node.js" in failed["error"]["message"], "js_data says what it needs"
        return
    report = windlass.run("shell_pipeline.yaml")
    assert report["result"]["rows"] == [{"who": who, "visits": -count} for count, who in best]
    assert report["outputs"]["long_ones"]["row_count"] == sum(counts.values())


def tools(windlass: Windlass) -> None:
    report = windlass.run("tools/tools.yaml", country="SE")
    net = 12.5 * 4 + 3.2 * 10 * 0.95
    assert report["outputs"]["quote"] == {
        "net": net,
        "vat": round(net * 0.25, 2),
        "total": round(net * 1.25, 2),
    }
    assert report["result"] == f"We can offer this at {net * 1.25:.2f} EUR."
    windlass.run_refused("tools/tools.yaml", country="XX")


def quick(windlass: Windlass) -> None:
    report = windlass.run("quick.yaml", n=27)
    assert report["result"] == "27 arrives at 1 after 111 steps"
    assert ran(report) == ["start", *["step"] * 111, "told"]


def resume_demo(windlass: Windlass) -> None:
    session_id = killed_in_phase(windlass, "three")
    # On a slow machine `three` may just have ended when the kill came; `four` takes a second more.
    done = {
        row["phase"]: int(row["process"])
        for row in windlass.sql(
            "SELECT phase, JSONExtractInt(body, 'output', 'process') AS process FROM checkpoints "
            f"WHERE session_id = '{session_id}' AND kind = 'phase' AND phase != 'one'"
        )
    }
    assert "two" in done and "four" not in done
    report = json.loads(windlass("run", "--session", session_id, "-o", "json"))
    assert (report["status"], report["epoch"]) == ("completed", 2)
    assert ran(report) == ["one", "two", "three", "four", "told"]
    processes = {phase: report["outputs"][phase]["process"] for phase in ("two", "three", "four")}
    assert processes.items() >= done.items(), "what was done before the kill was not done again"
    assert processes["four"] not in done.values()
    assert report["result"] == {"processes": 2, "sum_of_squares": 55}


def seattle_weather(windlass: Windlass) -> None:
    # What is in the report and the picture is the matter of test_seattle_weather.py.
    report = windlass.run("seattle_weather/seattle_weather.yaml")
    assert report["result"].startswith("# Seattle weather, 2012-01-01 to 2015-12-31\n")


CHECKS: dict[str, Callable[[Windlass], None]] = {
    "access.yaml": access,
    "hello.yaml": hello,
    "http_fetch.yaml": http_fetch,
    "inputs.yaml": inputs,
    "quick.yaml": quick,
    "resume_demo.yaml": resume_demo,
    "retry_and_recover.yaml": retry_and_recover,
    "routing.yaml": routing,
    "seattle_weather/seattle_weather.yaml": seattle_weather,
    "shell_pipeline.yaml": shell_pipeline,
    "sub_cascade/sub_cascade.yaml": sub_cascade,
    "sub_cascade/summary.yaml": summary,
    "tools/tools.yaml": tools,
}


@pytest.mark.parametrize("file", EXAMPLES)
def test_the_example_runs_and_does_what_its_header_says(file: str, windlass: Windlass):
    assert file in CHECKS, f"say in CHECKS what cascades/{file} must do"
    CHECKS[file](windlass)


@pytest.mark.parametrize("file", EXAMPLES)
def test_the_header_tells_the_idea_in_two_lines_and_how_to_try_it(file: str):
    header = (REPOSITORY / "cascades" / file).read_text(encoding="utf-8").splitlines()[:4]
    assert all(line.startswith("# ") for line in header[:3])
    assert header[2].startswith("# Try: windlass run ")
    assert f"cascades/{file}" in header[2]
    assert header[3].startswith("cascade_id: ")


def test_the_readme_lists_each_example_and_no_other():
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[`([\w/.]+)`\]\(cascades/([\w/.]+)\) \| (.+) \|$", readme, flags=re.MULTILINE)
    assert sorted(file for _, file, _ in listed) == EXAMPLES
    for shown, file, idea in listed:
        header = (REPOSITORY / "cascades" / file).read_text(encoding="utf-8").splitlines()
        told = " ".join(line.removeprefix("# ") for line in header[:2])
        assert shown == Path(file).stem
        assert told.startswith(idea), f"README says of {file}: {idea}\nits header says: {told}"


def ran(report: dict[str, Any]) -> list[str]:
    """The phases that ran, in order; skipped ones left out."""
    return [phase["name"] for phase in report["phases"] if phase["status"] != "skipped"]


def killed_in_phase(windlass: Windlass, phase: str) -> str:
    """Start resume_demo, kill its process with -9 while `phase` runs; returns the session's id."""
    file = str(REPOSITORY / "cascades" / "resume_demo.yaml")
    command = [*windlass.argv, "run", file, "-o", "jsonl", "-i", "seconds=1"]
    with subprocess.Popen(
        command,
        env=windlass.environ,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            event = json.loads(line)
            if event.get("event") == "phase.started" and event.get("phase") == phase:
                process.send_signal(signal.SIGKILL)
                process.stdout.close()
                process.stderr.close()
                return str(event["session_id"])
        pytest.fail(f"{phase} never started:\n{''.join(seen)}{process.stderr.read()}")


@contextmanager
def busy_server(rows: list[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that answers 503 once and then `rows`; yields its URL and the headers of all requests."""
    requests: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(dict(self.headers))
            body = json.dumps(rows).encode() if len(requests) > 1 else b"busy"
            self.send_response(200 if len(requests) > 1 else 503)
            self.send_header("Content-Type", "application/json" if len(requests) > 1 else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/people", requests
        finally:
            server.shutdown()
