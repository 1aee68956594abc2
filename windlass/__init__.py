"""Windlass runs cascades: declarative workflows of SQL, Python, shell, HTTP, tools and agents."""

__version__ = "0.1.0"
