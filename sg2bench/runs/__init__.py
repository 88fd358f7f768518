"""Runs: variants × seeds, what each run does, and their results together."""
