"""Tools: what a name stands for, which inputs it takes, and how it runs."""

from windlass.tools.registry import Tool, ToolError, ToolInput, ToolRuns, find_tool
from windlass.tools.text import as_text, read_json_like

__all__ = ["Tool", "ToolError", "ToolInput", "ToolRuns", "as_text", "find_tool", "read_json_like"]
