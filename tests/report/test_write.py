from __future__ import annotations

import base64
import gzip
import re

import pandas as pd
import pytest

from sg2bench import rows as row_table
from sg2bench.report import answers, page, panels, variants, write
from sg2bench.report.model_card import model_card
from sg2bench.rows import measure_effects
from tests.tables import table


def tables(rows):
    return variants.tables(rows, measure_effects(rows))


def test_a_table_for_each_question_ranks_and_pairs_by_seed(rows):
    realistic, followed = tables(rows)
    assert (realistic.title, followed.question) == ("Realistic: like the target's images", "followed")
    assert realistic.header == ["variant", "fd_alexnet latent ↓", "seeds"]
    assert realistic.rows == [["no_ds", "40.50 ± 0.7071", "2"], ["full", "50.50 ± 0.7071", "2"]]
    assert realistic.changes == [["no_ds", "-20 % [-22 %, -17 %] *"]]
    assert realistic.lines == [["real validation images", "1.50", "–"], ["untranslated sources", "90.00", "–"]]
    assert followed.header == ["variant", "lpips latent ↑", "seeds"]
    assert followed.rows == [["no_ds", "0.6500 ± 0.7071", "2"], ["full", "0.7500 ± 0.7071", "2"]]
    assert followed.changes == [["no_ds", "-26 % [-95 %, +1023 %]"]]
    assert followed.lines == []


def test_caption_says_what_the_numbers_are(rows):
    caption = variants.caption(rows)
    for part in ("seeds (0, 1)", "4 steps", "4 outputs (2 per source)", "6 training images", "offline", "torch "):
        assert part in caption


@pytest.mark.parametrize("left_out", ["pairs", "pairs and targets"])
def test_rows_of_means_alone_have_a_page_without_the_plots_by_pair(folder, rows, left_out):
    means = rows[(rows["source"] == "*") & ((rows["target"] == "*") | (left_out == "pairs"))]
    row_table.write(means, folder / "in/results.csv")
    text = write.write(folder / "in/results.csv", folder / "out", "x").read_text()
    pictures = {path.name for path in (folder / "out").glob("*.png")}
    assert not {name for name in pictures if name.endswith("by-pair.png")}
    assert ("realistic-by-target.png" in pictures) == ("By target domain and by pair" in text) == (left_out == "pairs")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.0, "0.0000"), (-0.0, "0.0000"), (0.5, "0.5000"), (12.346, "12.35"), (123.46, "123.5")),
        *((-0.00123, "-0.0012"), (4.2e-4, "0.00042"), (-4e-5, "-0.000040"), (1e-10, "1.0e-10"), (0.99999, "1.0000")),
    ],
)
def test_no_number_but_zero_looks_like_zero(value, text):
    assert variants.number(value) == text


def test_report_folder(folder):
    written = write.write(folder / "in/results.csv", folder / "out", "the command")
    found = {path.relative_to(folder / "out").as_posix() for path in (folder / "out").rglob("*.*")}
    assert found == {
        *("results.csv", "summary.csv", "curves.csv", "leaderboard.md", "report.html", "curves.png", "experiment.yaml"),
        *(".report-files", "effects.csv", "effects.png", "realistic-by-effect.png", "followed-by-effect.png"),
        *("realistic.png", "realistic-by-target.png", "fd_alexnet-by-pair.png"),
        *("followed.png", "followed-by-target.png", "lpips-by-pair.png", "grids/full-latent.png"),
    }
    text = written.read_text()
    assert text.count("data:image/webp;base64,") == 8 + 3
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    assert "sg2bench ablate x" in text
    captions = re.findall(r"<figcaption>.*?How to read:</b> (.*?)</figcaption>", text)
    assert len(captions) >= 8
    assert all(caption.endswith(".") for caption in captions)
    assert "What &lt;b&gt; buys." in text
    assert "Made by `sg2bench ablate x`" in (folder / "out/leaderboard.md").read_text()
    (folder / "in/experiment.yaml").unlink()
    write.write(folder / "in/results.csv", folder / "other", "the command")
    assert "Made by `the command`" in (folder / "other/leaderboard.md").read_text()
    summary = pd.read_csv(folder / "out/summary.csv")
    assert {"mean", "sd", "n"} <= set(summary.columns)
    again = write.write(folder / "out/results.csv", folder / "out", "the command")
    assert again.read_text() == text


def test_names_are_escaped_in_the_page(folder, rows):
    (folder / "in/experiment.yaml").write_text("# Made by: x > y\ndescription: <script>alert(1)</script>\n")
    text = write.write(folder / "in/results.csv", folder / "out", "").read_text()
    assert "<script>alert" not in text
    assert "x &gt; y" in text


def test_downloads_are_the_files(folder, monkeypatch):
    text = write.write(folder / "in/results.csv", folder / "out", "").read_text()
    links = re.findall(r'<a href="data:text/\w+;base64,([^"]*)" download="([^"]*)"', text)
    files = {name: base64.b64decode(content) for content, name in links}
    assert set(files) == {"results.csv", "summary.csv", "effects.csv", "curves.csv", "experiment.yaml"}
    for name, content in files.items():
        assert content == (folder / "out" / name).read_bytes()
    monkeypatch.setattr(page, "_PLAIN_BYTES", 1000)
    monkeypatch.setattr(page, "_EMBEDDED_BYTES", 100)
    text = write.write(folder / "in/results.csv", folder / "out", "").read_text()
    assert '<a href="results.csv" download="results.csv">results.csv</a> (in the same folder as this page)' in text


def test_a_large_download_is_compressed(folder, without_plots, monkeypatch):
    monkeypatch.setattr(page, "_PLAIN_BYTES", 1000)
    text = write.write(folder / "in/results.csv", folder / "out", "").read_text()
    (content,) = re.findall(r'"data:application/gzip;base64,([^"]*)" download="results.csv.gz"', text)
    assert gzip.decompress(base64.b64decode(content)) == (folder / "out/results.csv").read_bytes()


def test_provenance_lists_all_that_rows_differ_in(rows):
    rows.loc[0, "git_commit"] = "abc"
    rows.loc[1:, "git_commit"] = ""
    found = page.provenance(rows)
    assert found["Commit of sg2bench"] == "abc; none"
    assert found["Seeds"] == "0; 1"
    assert found["Extractor and SHA-256 of its weights"].startswith("alexnet 443c5bc3")
    assert found["Counts"] == "n: 2 seeds; each pair: 4 outputs against 6 training images of the target."


def test_bad_rows_are_refused_by_their_line(folder, rows):
    rows.loc[0, "metric"] = "../x"
    row_table.write(rows, folder / "in/results.csv")
    with pytest.raises(ValueError, match=r"line 2: metric is '../x', expected one of fd_alexnet"):
        write.write(folder / "in/results.csv", folder / "out", "")


@pytest.mark.parametrize(
    ("column", "other", "several"),
    [
        ("experiment", "other", "experiments"),
        ("protocol_hash", "0" * 16, "protocol hashes"),
        ("data_fingerprint", "0" * 16, "data fingerprints"),
    ],
)
def test_rows_that_cannot_stand_together_are_refused(folder, rows, column, other, several):
    rows.loc[rows["seed"] == 1, column] = other
    row_table.write(rows, folder / "in/results.csv")
    with pytest.raises(ValueError, match=f"rows of several {several} cannot be compared"):
        write.write(folder / "in/results.csv", folder / "out", "")
    assert not (folder / "out").exists()


def test_metrics_of_different_networks_have_hashes_of_their_own(folder, rows):
    rows.loc[rows["metric"] == "lpips", "protocol_hash"] = "1" * 16
    row_table.write(rows, folder / "in/results.csv")
    write.write(folder / "in/results.csv", folder / "out", "")
    text = (folder / "out/leaderboard.md").read_text()
    assert f"(fd_alexnet), {'1' * 16} (lpips)" in text


def test_two_configurations_of_a_variant_are_refused(folder, rows):
    rows.loc[(rows["variant"] == "no_ds") & (rows["seed"] == 1), "config_hash"] = "d" * 16
    row_table.write(rows, folder / "in/results.csv")
    with pytest.raises(ValueError, match="no_ds of tiny was trained with two configurations"):
        write.write(folder / "in/results.csv", folder / "out", "")


@pytest.mark.parametrize("column", ["n_real", "n_fake"])
def test_values_of_unequal_counts_are_refused(folder, rows, column):
    rows.loc[(rows["variant"] == "no_ds") & (rows["seed"] == 1), column] = 3
    row_table.write(rows, folder / "in/results.csv")
    with pytest.raises(ValueError, match=rf"latent fd_alexnet cat → dog has {column} 3, \d; values of unequal counts"):
        write.write(folder / "in/results.csv", folder / "out", "x")


def test_one_seed_has_no_spread(tiny):
    assert [of_question.rows for of_question in tables(table(tiny))] == [
        [["full", "50.00", "1"]],
        [["full", "0.2500", "1"]],
    ]
    panels.variants_plot(table(tiny))
    panels.targets_plot(table(tiny))


def test_a_report_in_place_of_other_rows_is_refused(folder, rows):
    row_table.write(rows[rows["variant"] == "full"], folder / "in/part.csv")
    before = (folder / "in/results.csv").read_bytes()
    with pytest.raises(ValueError, match=r"part.csv: give the report another folder with --out"):
        write.write(folder / "in/part.csv", folder / "in", "")
    assert (folder / "in/results.csv").read_bytes() == before


def test_a_variant_without_a_metric_is_shown_without_it(rows):
    part = rows[~((rows["variant"] == "full") & (rows["metric"] == "lpips"))]
    realistic, followed = tables(part)
    assert realistic.rows == [["no_ds", "40.50 ± 0.7071", "2"], ["full", "50.50 ± 0.7071", "2"]]
    assert followed.changes == [["no_ds", "–"]]
    assert followed.rows == [["no_ds", "0.6500 ± 0.7071", "2"], ["full", "–", "2"]]
    with pytest.raises(ValueError, match="no overall values"):
        tables(rows[rows["target"] != "*"])


def test_means_over_other_pairs_are_refused(folder, rows):
    fewer = rows[~((rows["variant"] == "no_ds") & (rows["source"] == "cat"))]
    row_table.write(fewer, folder / "in/results.csv")
    with pytest.raises(
        ValueError, match="no_ds seed 0 and full seed 0 have different pairs of domains .e.g. cat → dog"
    ):
        write.write(folder / "in/results.csv", folder / "out", "x")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("experiment.yaml", "- a list", "experiment.yaml: an experiment is a mapping, got list"),
        ("experiment.yaml", "a: [", "experiment.yaml: cannot be read as YAML"),
        ("curves.csv", "garbage", "curves.csv: column seed, step, variant is missing"),
        ("curves.csv", "", "curves.csv: not a CSV of training curves"),
    ],
)
def test_what_lies_beside_the_rows_is_read_before_anything_is_written(folder, name, content, message):
    (folder / "in" / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        write.write(folder / "in/results.csv", folder / "out", "x")
    assert not (folder / "out").exists()


def test_rows_without_an_overall_value_leave_nothing(folder, rows):
    row_table.write(rows[rows["target"] != "*"], folder / "in/results.csv")
    with pytest.raises(ValueError, match="no overall values"):
        write.write(folder / "in/results.csv", folder / "out", "x")
    assert not (folder / "out").exists()


def test_a_reference_line_of_a_metric_that_no_model_has_draws_no_empty_plot(folder, rows):
    odd = rows[(rows["metric"] != "lpips") | (rows["variant"] == "real")]
    more = rows[rows["variant"] == "real"].assign(metric="lpips", protocol_hash="a" * 16)
    row_table.write(pd.concat([odd, more]), folder / "in/results.csv")
    write.write(folder / "in/results.csv", folder / "out", "x")
    assert not (folder / "out/followed.png").exists()


def test_changes_are_from_the_experiment_s_first_variant_whatever_the_order_of_rows(folder, rows):
    claims = "claims: [{term: ds, variant: no_ds, purpose: styles, metric: lpips}]"
    claims += "\nvariants: {full: {}, no_ds: {loss.ds: 0}}"
    (folder / "in/experiment.yaml").write_text(f"# Made by: x\nname: tiny\n{claims}\n")
    row_table.write(rows.sort_values("variant", ascending=False), folder / "in/results.csv")
    write.write(folder / "in/results.csv", folder / "out", "x")
    assert set(pd.read_csv(folder / "out/effects.csv")["baseline"]) == {"full"}
    row_table.write(rows[rows["variant"] != "full"], folder / "in/results.csv")
    with pytest.warns(UserWarning, match="has no rows of `full`, the experiment's first variant"):
        write.write(folder / "in/results.csv", folder / "out", "x")


def test_runs_without_rows_are_named(folder, rows, without_plots):
    """Such as of a variant that diverged: nobody else would know that it was tried."""
    text = "# Made by: x\nname: tiny\nvariants: {full: {}, no_ds: {}, hot: {}}\nseeds: [0, 1, 2]\n"
    (folder / "in/experiment.yaml").write_text(text)
    row_table.write(rows, folder / "in/results.csv")
    write.write(folder / "in/results.csv", folder / "out", "x")
    for name in ("leaderboard.md", "report.html"):
        said = (folder / "out" / name).read_text().replace("\\", "")
        assert "failed or are not finished: full, seed 2; hot, seeds 0, 1, 2; no_ds, seed 2. Mean" in said


def test_metrics_with_other_seeds_or_steps_are_refused(folder, rows):
    file = folder / "in/results.csv"
    of_lpips = (rows["variant"] == "no_ds") & (rows["metric"] == "lpips") & (rows["seed"] == 1)
    row_table.write(rows[~of_lpips], file)
    with pytest.raises(ValueError, match="no_ds has no lpips latent of seed 1, but other values"):
        write.write(file, folder / "out", "x")
    earlier = rows.assign(step=rows["step"].mask(of_lpips, rows["step"] - 1))
    row_table.write(earlier, file)
    with pytest.raises(ValueError, match="no_ds, seed 1, has lpips latent at step 3, but not at its last step, 4"):
        write.write(file, folder / "out", "x")


@pytest.mark.parametrize("more", ["", "key_of_another_version: 1\n"])
def test_the_first_variant_is_the_experiment_s_without_claims_too(folder, rows, more):
    """Such as when the first seed of the first variant failed."""
    text = "# Made by: x\nname: tiny\nvariants: {full: {}, no_ds: {}}\n"
    (folder / "in/experiment.yaml").write_text(text + more)
    file = folder / "in/results.csv"
    row_table.write(rows[(rows["variant"] != "full") | (rows["seed"] != 0)].iloc[::-1], file)
    write.write(file, folder / "out", "x")
    assert set(pd.read_csv(folder / "out/effects.csv")["baseline"]) == {"full"}
    assert "Changes are relative to full" in (folder / "out/leaderboard.md").read_text()
    assert set(answers.effects(file)["baseline"]) == {"full"}
    assert "# tiny-full\n" in model_card(file)


def test_variants_are_sorted_by_the_first_column_of_the_first_table_whatever_the_order_of_rows(rows):
    """`fd_alexnet` is of the first question, `lpips` of the last."""
    shuffled = rows.sort_values("metric", ascending=False)
    assert shuffled["metric"].iloc[0] == "lpips"
    means = row_table.overall(row_table.models(rows)).query("metric == 'fd_alexnet'").groupby("variant")["value"].mean()
    assert variants.order(shuffled) == variants.order(rows) == list(means.sort_values().index)


def test_a_table_with_rows_twice_or_without_a_value_has_no_effects(rows):
    """As a file of such rows is refused: a seed that counts twice makes intervals narrower."""
    assert len(answers.effects(rows))
    for twice in (pd.concat([rows, rows]), pd.concat([rows, rows[rows["seed"] == 0]])):
        with pytest.raises(ValueError, match="rows: a row is there twice"):
            answers.effects(twice)
    with pytest.raises(ValueError, match="rows: a value is missing"):
        answers.effects(rows.assign(value=rows["value"].where(rows["seed"] != 1)))
