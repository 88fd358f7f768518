"""mlflow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sg2bench.cli import options


def mlflow(
    runs: Annotated[Path, typer.Argument(help="Folder that holds the run folders.")],
    uri: Annotated[
        str,
        typer.Option(envvar="MLFLOW_TRACKING_URI", help="MLflow's tracking URI: a database in a file, or a server."),
    ] = "sqlite:///mlflow.db",
) -> None:
    """Log runs to MLflow: settings, loss terms, overall values, sample grids. Needs `pip install mlflow`.

    Works while runs are training; run it again to log new data.
    """
    from sg2bench.runs import mlflow as writer

    count = writer.write(runs, uri)
    options.print_plain(f"Runs: {count}. View them with: mlflow ui --backend-store-uri {uri}")
