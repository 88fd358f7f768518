"""Throughput of the generator, compared with the limits of the machine, and the cost of studies."""
