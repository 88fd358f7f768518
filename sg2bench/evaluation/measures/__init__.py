"""Measures of outputs: one file per measure, with its formula and its influence functions."""
