"""Translate, extract features, measure: per ordered pair of domains, per target, overall."""
