"""Evaluation: translate, extract features, and measure per ordered pair of domains, per target and overall."""
