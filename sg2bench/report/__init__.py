"""Plots, leaderboard and HTML page from result rows."""
