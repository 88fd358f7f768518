"""Damaged, wrong and hostile input, made by the thousand from a seed: `nox -s attack` writes docs/reliability.md."""
