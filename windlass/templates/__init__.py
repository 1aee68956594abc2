"""Templates: text and values in, values out; pure, sandboxed and bounded."""

from windlass.templates.engine import Templates
from windlass.templates.errors import TemplateError

__all__ = ["TemplateError", "Templates"]
