"""Run the command line as `python -m sg2bench`."""

from sg2bench.cli import main

main()
