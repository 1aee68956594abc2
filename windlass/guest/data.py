"""`data` in authors' Python: what earlier phases made, each as a data frame where it made rows."""

from collections.abc import Callable, Iterator
from typing import Any

from windlass.guest.mirror import Mirror


class Data:
    """`data.x` is a data frame where phase x made rows, else its output. `data["x"]` is the same.

    Args:
        mirror: outputs by phase.
        has_table: is there a table of this name?
        read: the table as a data frame; called once a phase and table.
    """

    def __init__(self, mirror: Mirror, has_table: Callable[[str], bool], read: Callable[[str], Any]) -> None:
        self.__mirror = mirror
        self.__has_table = has_table
        self.__read = read
        self.__found: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self.__found:
            self.__found[name] = self.__find(name)
        return self.__found[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(str(error.args[0])) from None

    def __contains__(self, name: str) -> bool:
        return name in self.__mirror.outputs

    def __iter__(self) -> Iterator[str]:
        return iter(self.__mirror.outputs)

    def __len__(self) -> int:
        return len(self.__mirror.outputs)

    def __dir__(self) -> list[str]:
        return list(self.__mirror.outputs)

    def keys(self) -> list[str]:
        """Names of the phases that ended."""
        return list(self.__mirror.outputs)

    def __find(self, name: str) -> Any:
        outputs = self.__mirror.outputs
        for table in (f"_{name}", name):
            if self.__has_table(table):
                return self.__read(table)
        if name not in outputs:
            names = ", ".join(outputs) or "none yet"
            raise KeyError(f"data has no {name!r}; phases that ended: {names}")
        value = outputs[name]
        if isinstance(value, dict) and value.get("columns") == [] and "row_count" in value:
            return _empty_frame(int(value["row_count"]))
        return _copy(value)


def _empty_frame(row_count: int) -> Any:
    import pandas as pd

    return pd.DataFrame(index=range(row_count))


def _copy(value: Any) -> Any:
    import copy

    return copy.deepcopy(value) if isinstance(value, (dict, list)) else value
