"""What one rendering may take: steps, processor time and memory, and the meter that counts them.

A template runs in the worker's own process, so that no size, loop or recursion in it may hurt the
worker's other sessions. Two rules do that together:

* **Whatever a template makes is measured when it is made** (results of operators, calls, filters,
  literals, slices, concatenations), so that no value grows past the limit and no chain of shared
  parts unfolds exponentially later, when it is printed or compared.
* **Every loop and call ticks**: iterations, calls, filters and tests count as steps, and now and
  then the thread's own processor time is read. There is no watchdog thread and no signal, so a
  rendering works in any thread and leaves nothing behind.

What could grow inside one call of C code (`'x' * n`, `center`, `replace`, `%999d` …) is
calculated beforehand; see `windlass.templates.guards`.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

from windlass.clock import iso
from windlass.templates.errors import TemplateError

# All that one rendering makes, summed, in multiples of the largest text: room for a text that is
# built piece by piece in a loop, and still only 128 MiB at the default.
_CHARGE_FACTOR = 16
# Iterations, calls, filters and tests of one rendering. A million take about half a second.
_STEPS_MAX = 1_000_000
# Items, keys and values in one made value: far more than a prompt or a request can hold.
_PARTS_MAX = 1_000_000
# What a part costs beside its text: a pointer, a small number, its share of a dict.
_PART_BYTES = 32
# Steps between two looks at the clock (one look costs half a microsecond).
_STEPS_PER_LOOK = 64

_SCALARS = (int, float, bool, type(None))


class Meter:
    """Counts what one rendering takes, and raises when it is too much. One thread uses it.

    Args:
        bytes_max: the largest text or value.
        seconds_max: processor time of the rendering thread.
        place: turns a value between `{{ }}` into the text that stands there, or None for plain text.
    """

    __slots__ = ("_charge_left", "_ends_at", "_steps", "bytes_max", "place", "seconds_max")

    def __init__(
        self, *, bytes_max: int, seconds_max: float, place: Callable[[Any], str] | None = None
    ) -> None:
        self.bytes_max = bytes_max
        self.seconds_max = seconds_max
        self.place = place
        self._charge_left = bytes_max * _CHARGE_FACTOR
        self._ends_at = time.thread_time() + seconds_max
        self._steps = 0

    def tick(self) -> None:
        """Count one step."""
        self._steps += 1
        if self._steps % _STEPS_PER_LOOK == 0:
            self.look()

    def look(self) -> None:
        """Raise if the steps or the time are used up."""
        if self._steps > _STEPS_MAX:
            raise TemplateError(f"the template takes more than {_STEPS_MAX:,} steps")
        if time.thread_time() > self._ends_at:
            raise TemplateError(f"the template takes more than {self.seconds_max:g} s")

    def expect(self, size: int) -> None:
        """Raise if a value of `size` bytes would be too large to make."""
        if size > self.bytes_max:
            raise TemplateError(
                f"the template makes a value larger than {in_units(self.bytes_max)}",
                hint="large data belongs in a table or a file, which sql and python phases read by name",
            )

    def charge(self, size: int) -> None:
        """Count `size` bytes that were made."""
        self.expect(size)
        self._charge_left -= size
        if self._charge_left < 0:
            total = in_units(self.bytes_max * _CHARGE_FACTOR)
            raise TemplateError(f"the template makes more than {total} of values altogether")

    def made(self, value: Any) -> Any:
        """`value`, which the template just made, counted; an iterator comes back ticking."""
        if isinstance(value, str):
            self.charge(text_bytes(value))
        elif isinstance(value, list | tuple | dict):
            self.charge(self.measure(value))
        elif isinstance(value, Iterator):
            return self.each(value)
        return value

    def each(self, items: Iterable[Any]) -> Iterator[Any]:
        """The items one by one, a step each."""
        for item in items:
            self.tick()
            yield item

    def measure(self, value: Any, *, as_text: bool = False) -> int:
        """How many bytes `value` takes with everything in it; parts that are shared count each time.

        Args:
            value: any value a template can hold.
            as_text: it is about to become text, so a part that is no JSON value is refused.
        """
        size, parts = 0, 0
        waiting = [value]
        while waiting:
            part = waiting.pop()
            parts += 1
            if isinstance(part, str):
                size += text_bytes(part)
            elif isinstance(part, dict):
                waiting.extend(part)
                waiting.extend(part.values())
            elif isinstance(part, list | tuple):
                waiting.extend(part)
            elif as_text and not isinstance(part, (*_SCALARS, date, timedelta, range)):
                raise TemplateError(f"{_called(part)} has no text", hint=_hint_for(part))
            if parts + len(waiting) > _PARTS_MAX:
                raise TemplateError(f"the template makes a value of more than {_PARTS_MAX:,} parts")
            if size + parts * _PART_BYTES > self.bytes_max * _CHARGE_FACTOR:
                break
        return size + parts * _PART_BYTES

    def text(self, value: Any) -> str:
        """`value` as it stands in a text: Jinja's own wording, for a moment ISO 8601."""
        if isinstance(value, str):
            return value
        if isinstance(value, datetime):
            return iso(value)
        if isinstance(value, list | tuple | dict):
            self.expect(self.measure(value, as_text=True))
        elif not isinstance(value, _SCALARS):
            self._refuse_opaque(value)
        return str(value)

    def joined(self, parts: Iterable[str]) -> str:
        """The parts as one text, given up as soon as it is too long."""
        kept: list[str] = []
        size = 0
        for part in parts:
            size += text_bytes(part)
            if size > self.bytes_max:
                raise TemplateError(
                    f"the template makes a text longer than {in_units(self.bytes_max)}",
                    hint="large data belongs in a table or a file, which sql and python phases read by name",
                )
            kept.append(part)
        return "".join(kept)

    def _refuse_opaque(self, value: Any) -> None:
        if isinstance(value, range | date | timedelta):
            return
        if type(value).__name__ == "Missing":
            str(value)  # raises, and says which name
        raise TemplateError(f"{_called(value)} has no text", hint=_hint_for(value))


def text_bytes(text: str) -> int:
    """What a text takes in memory, to a few bytes."""
    return len(text) if text.isascii() else sys.getsizeof(text)


def in_units(size: int) -> str:
    """A size for people: 8 MiB, 300 KiB, 12 bytes."""
    if size >= 1 << 20:
        return f"{size / (1 << 20):g} MiB"
    return f"{size / 1024:g} KiB" if size >= 1024 else f"{size} bytes"


def _called(value: Any) -> str:
    if isinstance(value, Iterator):
        return "what the template prints here (an unfinished sequence)"
    name = getattr(value, "__name__", "") or type(value).__name__
    return f"what the template prints here ({name})"


def _hint_for(value: Any) -> str:
    if isinstance(value, Iterator):
        return "end a chain of map, select or reject with | list or | join(', ')"
    if callable(value):
        return "was it meant to be called, with ()?"
    return ""
