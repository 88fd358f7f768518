"""`python -m sg2bench` is `sg2bench`."""

from sg2bench.cli import main

main()
