"""The version, which hatch and rows read."""

__version__ = "0.1.0"
