"""The version, which hatch and rows read."""

__version__ = "0.2.0"
