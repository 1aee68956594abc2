"""What comes next: file order, handoffs, routing and failures, and never through into a sibling."""

from pathlib import Path

import pytest

from windlass.model import Cascade, parse_cascade
from windlass.runner import flow
from windlass.templates import Templates


def cascade_of(phases: str) -> Cascade:
    return parse_cascade(f"cascade_id: c\nphases:\n{phases}", source="c.yaml", folder=Path("/"))


def following(cascade: Cascade, name: str, *, route: str = "", **names: object) -> str | None:
    return flow.after_done(
        cascade, cascade.phase(name), route=route, conditions=Templates(environ={}), names=names
    )


IN_ORDER = """
  - {name: a, python: "result = 1"}
  - {name: b, python: "result = 1"}
"""

BRANCHES = """
  - {name: judge, python: "result = 1", routing: {good: ship, bad: mend, default: ask}}
  - {name: ship, python: "result = 1"}
  - {name: mend, python: "result = 1", handoffs: [ship]}
  - {name: ask, python: "result = 1"}
  - {name: after, python: "result = 1"}
"""


def test_phases_follow_each_other_in_file_order() -> None:
    cascade = cascade_of(IN_ORDER)
    assert flow.first_phase(cascade) == "a"
    assert following(cascade, "a") == "b"
    assert following(cascade, "b") is None


def test_a_route_leads_to_the_phase_it_names_or_to_the_default() -> None:
    cascade = cascade_of(BRANCHES)
    assert following(cascade, "judge", route="good") == "ship"
    assert following(cascade, "judge", route="bad") == "mend"
    assert following(cascade, "judge", route="strange") == "ask"
    assert following(cascade, "judge") == "ask"


def test_a_branch_without_handoffs_ends_there_and_does_not_fall_into_its_sibling() -> None:
    cascade = cascade_of(BRANCHES)
    assert following(cascade, "ship") is None
    assert following(cascade, "ask") is None
    assert following(cascade, "mend") == "ship"


def test_a_route_to_nowhere_fails_and_says_which_ways_there_are() -> None:
    cascade = cascade_of("""
  - {name: judge, python: "result = 1", routing: {good: ship}}
  - {name: ship, python: "result = 1"}
""")
    with pytest.raises(flow.RouteError, match="'awful'.*'good'"):
        following(cascade, "judge", route="awful")
    with pytest.raises(flow.RouteError, match="names no _route"):
        following(cascade, "judge")


def test_a_routing_condition_sees_the_output() -> None:
    cascade = cascade_of("""
  - name: judge
    python: "result = {'score': 3}"
    routing:
      - {when: "output.score > 5", to: high}
      - {when: "output.score > 2", to: middle}
      - {default: low}
  - {name: high, python: "result = 1"}
  - {name: middle, python: "result = 1"}
  - {name: low, python: "result = 1"}
""")
    assert following(cascade, "judge", output={"score": 3}) == "middle"
    assert following(cascade, "judge", output={"score": 9}) == "high"
    assert following(cascade, "judge", output={"score": 0}) == "low"


def test_the_only_handoff_is_taken_and_one_of_several_must_be_chosen() -> None:
    cascade = cascade_of("""
  - {name: a, python: "result = 1", handoffs: [c]}
  - {name: b, python: "result = 1", handoffs: [c, d]}
  - {name: c, python: "result = 1"}
  - {name: d, python: "result = 1"}
""")
    assert following(cascade, "a") == "c"
    assert following(cascade, "b", route="d") == "d"
    with pytest.raises(flow.RouteError, match="chooses none"):
        following(cascade, "b")
    with pytest.raises(flow.RouteError, match="not among its handoffs"):
        following(cascade, "b", route="a")


def test_a_failure_goes_to_its_handler_or_on_or_nowhere() -> None:
    cascade = cascade_of("""
  - {name: a, python: "result = 1", on_error: mend}
  - {name: b, python: "result = 1", on_error: continue}
  - {name: c, python: "result = 1"}
  - {name: mend, python: "result = 1"}
""")
    assert flow.after_failed(cascade, cascade.phase("a")) == "mend"
    assert flow.after_failed(cascade, cascade.phase("b")) == "c"
    assert flow.after_failed(cascade, cascade.phase("c")) is None
    assert not flow.is_handled(cascade.phase("c"))


def test_a_skipped_phase_goes_its_only_way_or_the_default() -> None:
    cascade = cascade_of(BRANCHES)
    assert flow.after_skipped(cascade, cascade.phase("judge")) == "ask"
    assert flow.after_skipped(cascade, cascade.phase("mend")) == "ship"


def test_a_handler_at_the_top_of_the_file_is_not_where_a_session_starts() -> None:
    cascade = cascade_of("""
  - {name: clean_up, python: "result = 1"}
  - {name: work, python: "result = 1"}
on_failure: clean_up
""")
    assert flow.first_phase(cascade) == "work"
