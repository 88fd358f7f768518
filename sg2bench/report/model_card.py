"""A model card for the Hugging Face Hub, from result rows: `model-index` metadata and the same values as a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sg2bench import texts, yaml_files
from sg2bench.catalog import METRICS
from sg2bench.layout import PathLike, with_home
from sg2bench.report.answers import declared
from sg2bench.report.variants import hashes, number
from sg2bench.rows import baseline, last_steps, listed, metrics_and_modes, models, overall, read, refuse_mixture
from sg2bench.statistics import mean_interval


def model_card(results: PathLike, *, variant: str | None = None, name: str | None = None) -> str:
    """Return a model card in Markdown, with the overall values of one variant at its last step.

    Its metadata are a `model-index` for the Hugging Face Hub: for each mode, values with their 95 % intervals, seeds,
    counts and protocol. `variant` defaults to the experiment's first one, `name` to `<experiment>-<variant>`.
    Raises ValueError like `rows.read`, and for a variant without overall values.
    """
    path = with_home(results)
    everything = read(path)
    refuse_mixture(everything, path)
    table = overall(models(last_steps(everything)))
    if table.empty:
        raise ValueError(f"{path}: has no overall value (source and target `*`) of a model")
    known = list(dict.fromkeys(table["variant"]))
    variant = variant or declared(path.parent).first or baseline(table)
    if variant not in known:
        raise ValueError(f"{path}: has no variant {variant!r} (known: {', '.join(known)})")
    table = table[table["variant"] == variant]
    name = name or f"{table['experiment'].iloc[0]}-{variant}"
    values = [_value(table, metric, mode) for metric, mode in metrics_and_modes(table)]
    metadata = {
        "library_name": "sg2bench",
        "pipeline_tag": "image-to-image",
        "tags": ["image-to-image", "stargan-v2"],
        "model-index": [{"name": name, "results": _results(table, values)}],
    }
    front = yaml_files.dump(metadata, width=100)
    return f"---\n{front}---\n\n# {texts.markdown(name)}\n\n{_body(table, values)}\n"


def _value(table: pd.DataFrame, metric: str, mode: str) -> dict[str, Any]:
    """Return one metric of one mode in the Hub's form: the mean over seeds, and in `args` all that it depends on."""
    rows = table[(table["metric"] == metric) & (table["mode"] == mode)].sort_values("seed")
    mean, half_width = mean_interval(rows["value"].to_numpy())
    one_seed = len(rows) == 1
    low, high = (
        (rows["ci_low"].iloc[0], rows["ci_high"].iloc[0]) if one_seed else (mean - half_width, mean + half_width)
    )
    first = rows.iloc[0]
    interval = {} if not np.isfinite([low, high]).all() else {"ci_low": _short(low), "ci_high": _short(high)}
    made = {"mode": mode, "better": METRICS[metric].better, "definition": METRICS[metric].definition, **interval}
    made |= {"interval": f"95 %, over {'the sample of images' if one_seed else 'seeds'}"} if interval else {}
    made |= {"seeds": rows["seed"].tolist(), "step": int(first["step"])}
    made |= {column: int(first[column]) for column in ("n_real", "n_fake")}
    made |= {column: str(first[column]) for column in ("protocol", "protocol_hash", "extractor")}
    return {"type": metric, "name": f"{metric} ({mode})", "value": _short(mean), "args": made}


def _results(table: pd.DataFrame, values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a result for each mode; the Hub groups values by task and data set."""
    first = table.iloc[0]
    dataset = {"name": first["experiment"], "type": first["experiment"], "revision": first["data_fingerprint"]}
    return [
        {
            "task": {"type": "image-to-image", "name": f"image translation, style by {mode}"},
            "dataset": dict(dataset),
            "metrics": [value for value in values if value["args"]["mode"] == mode],
        }
        for mode in dict.fromkeys(table["mode"])
    ]


def _body(table: pd.DataFrame, values: list[dict[str, Any]]) -> str:
    rows = []
    for value in values:
        ends = [number(value["args"][end]) for end in ("ci_low", "ci_high") if end in value["args"]]
        arrow = METRICS[value["type"]].arrow
        rows.append([f"{value['name']} {arrow}", number(value["value"]), " to ".join(ends) or "–"])
    seeds, versions = table["seed"].nunique(), listed(table["sg2bench_version"])
    over = "the interval covers the sample of images" if seeds == 1 else "the interval covers the variation over seeds"
    made = (
        f"Measured by sg2bench {versions}: means over all pairs of domains, {seeds} seed{'s' * (seeds > 1)}; {over}. "
        f"Protocol {listed(table['protocol'])} {hashes(table)}, data {table['data_fingerprint'].iloc[0]}. Compare with "
        "values of the same protocol hash and data only."
    )
    return f"{texts.markdown_table(('metric', 'value', '95 % interval'), rows)}\n\n{texts.markdown(made)}"


def _short(value: float) -> float:
    """Format with six significant digits."""
    return float(f"{value:.6g}")
