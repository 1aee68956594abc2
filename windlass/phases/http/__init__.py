"""`http`: one request and its answer, within limits of size, time and place."""

from windlass.phases.http.request import run_http

__all__ = ["run_http"]
