"""Variants × seeds: which runs there are, what one does, what all of them give."""
