"""The files of a report folder."""

RESULTS, SUMMARY, CURVES = "results.csv", "summary.csv", "curves.csv"
EXPERIMENT, GRIDS = "experiment.yaml", "grids"
MADE_BY = "# Made by: "
"""Begins `experiment.yaml`; the command that made the rows follows."""
