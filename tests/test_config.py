from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sg2bench import config, experiments
from sg2bench.config import Experiment
from sg2bench.experiments import load, parse_settings
from sg2bench.hashes import _NOT_DECISIVE, lineage_hash, stable_hash, training_hash

EXPERIMENTS = sorted(experiments.shipped().values())


def written(tmp_path, text):
    path = tmp_path / "e.yaml"
    path.write_text(text)
    return path


def claims(variant, *metrics):
    """An experiment that claims so of a variant, by each of the metrics."""
    made = [f"{{term: cyc, purpose: x, variant: {variant}, metric: {metric}}}" for metric in metrics]
    made = [line.replace("term: cyc, ", "") if "term: =" in line else line for line in made]
    return f"variants: {{full: {{}}, no_cyc: {{loss.cyc: 0}}}}\nclaims: [{', '.join(made)}]"


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda p: p.stem)
def test_shipped_experiments_load(path):
    experiment = load(path)
    assert experiment.name == path.stem
    for variant in experiment.variants:
        assert experiment.resolve(variant).variants == {variant: {}}


def test_defaults_are_the_paper_s():
    experiment = Experiment(name="x")
    assert experiment.train.learning_rate == 1e-4
    assert experiment.train.mapping_learning_rate == 1e-6
    assert (experiment.train.beta1, experiment.train.beta2) == (0, 0.99)
    assert (experiment.train.steps, experiment.train.batch_size) == (100_000, 8)
    assert (experiment.model.style_dim, experiment.model.latent_dim, experiment.model.max_width) == (64, 16, 512)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {stepz: 3}", "unknown key `train.stepz`, did you mean `steps`?"),
        ("resources: {gpus: 1.5}", "resources.gpus: must be a share up to 1 or a whole number, got 1.5"),
        (
            "resources: {gpus: 3}",
            "train.batch_size: 8 images cannot be shared equally by 3 GPUs (resources.gpus)",
        ),
        ("los: {}", "unknown key `los`, did you mean `loss`?"),
        ("train: {steps: many}", "train.steps: expected a number, got 'many'"),
        ("loss: {ds: -1}", "loss.ds: Input should be greater than or equal to 0"),
        ("model: {image_size: 192}", "model.image_size: must be one of 32, 64, 128, 256, 512, got 192"),
        ("variants: {a: {loss.dss: 0}}", "variants.a: unknown key `loss.dss`, did you mean `ds`?"),
        ("variants: {a: {evaluate.resize: 64}}", "`evaluate.resize` cannot be changed by a variant"),
        ("variants: {real: {}}", "the name `real` is reserved for a reference line"),
        ("variants: {}", "variants: Dictionary should have at least 1 item"),
        ("variants: {../up: {}}", "variants.../up.[key]: String should match pattern"),
        ("data: {root: photos}", "data: source `critters` is drawn and reads no `root`"),
        ("loss: {gp: 1, adv: 0}", "gp needs adv"),
        ("variants: {a: {train.steps: 3, train: {steps: 5}}}", "variants.a: `train.steps` is given twice"),
        (
            "train: {steps: 1000000000, evaluate_every: 1}",
            "1000000000 steps would be evaluated; at most 10000 are possible",
        ),
        ("seeds: [1, 1]", "seeds: `1` is listed twice"),
        ("data: {source: folder}", "needs `root`"),
        (
            "evaluate: {metrics: [fid]}",
            "metrics: protocol offline has no fid (it has fd_alexnet, domain_accuracy,",
        ),
        (
            "evaluate: {protocol: papers}",
            "evaluate.protocol: Input should be 'offline', 'standard', 'paper' or 'modern'",
        ),
        ("model: {condition: label}", "model.condition label has no style: set loss.sty and loss.ds to 0"),
        ("{model: {condition: label}, loss: {sty: 0, ds: 0}}", "takes no reference: set evaluate.modes to [latent]"),
        ("model: {condition: label_map, w_hpf: 1}", "StarGAN's generator, which has no high-pass skip"),
        ("model: {discriminator: auxiliary}", "loss.cls and model.discriminator auxiliary go together"),
        ("loss: {cls: 1}", "loss.cls and model.discriminator auxiliary go together"),
        ("loss: {cls: 1, adv: 0}", "cls needs the discriminator, which adv: 0 switches off"),
        ("loss: {adv: 0, sty: 0, cyc: 0}", "nothing would train the generator"),
        (
            "{model: {condition: label}, loss: {sty: 0, ds: 0}, evaluate: {modes: [latent]}, "
            "train: {encoder_learns: both}}",
            "train.encoder_learns both needs model.condition style, got label",
        ),
        ("train: {steps: 9, evaluate_at: [3, 10]}", "train: evaluate_at: step 10 is beyond the last step"),
        (
            "train: {steps: 9, evaluate_every: 10}",
            "train: evaluate_every: step 10 is beyond the last step",
        ),
        ("train: {evaluate_at: [3], evaluate_every: 2}", "give either evaluate_at or evaluate_every"),
        ("train: {evaluate_at: [3, 3]}", "train.evaluate_at: `3` is listed twice"),
        ("train: {evaluate_at: [0]}", "train.evaluate_at.0: Input should be greater than or equal to 1"),
        ("train: {best_by: lpips}", "best_by needs steps to choose from: give evaluate_at"),
        ("train: {evaluate_at: [3], best_by: lpip}", "best_by: no metric `lpip`, did you mean `lpips`?"),
        (
            "{train: {evaluate_at: [3]}, variants: {a: {train.best_by: lpips}}}",
            "variants.a: `train.best_by` cannot be changed by a variant",
        ),
        (
            claims("no_cyc", "position_eror"),
            "claims.0.metric: no metric `position_eror`, did you mean `position_error`",
        ),
        (claims("no_cyc", "style_spread, mode: reference"), "claims.0: mode: style_spread is measured in mode latent"),
        (claims("no_cy", "lpips"), "claims.0.variant: no variant `no_cy`, did you mean `no_cyc`?"),
        (claims("full", "lpips"), "claims.0.variant: `full` is the first variant; others are compared"),
        (claims("no_cyc", "lpips, over: sway"), "claims.0.over: Input should be 'value' or 'swing'"),
        (claims("no_cyc", "lpips, margin: 0"), "claims.0.margin: Input should be greater than 0"),
        (claims("no_cyc", "lpips, why: 0"), "unknown key `claims.0.why`"),
        (claims("no_cyc", "lpips, term: =1"), "claims.0.term: expected plain text on one line, not a"),
        (
            claims("no_cyc", "lpips", "lpips"),
            "claims.1: an earlier claim has the same variant, metric, mode and `over`",
        ),
        ("- a\n- b", "an experiment is a mapping"),
        ("a: [", "cannot be read as YAML"),
    ],
)
def test_a_bad_file_names_file_key_and_remedy(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(ValueError) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="none.yaml: no such experiment file"):
        load(tmp_path / "none.yaml")


def test_overrides(tmp_path):
    path = written(tmp_path, "train: {steps: 3}")
    loaded = load(
        path, parse_settings(["train.steps=5", "evaluate.metrics=[lpips]", "data={source: folder, root: a/b}"])
    )
    assert loaded.train.steps == 5
    assert loaded.evaluate.metrics == ("lpips",)
    assert loaded.data.root == Path("a/b")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("2020-01-01=1", "unknown key `2020-01-01`"),
        ("train.steps", "expected key=value"),
        ("train.stepz=1", "unknown key `train.stepz`"),
        ("train.steps.x=1", "`steps` is a value"),
        ("seeds=[-1]", r"seeds.0: Input should be greater than or equal to 0, got -1$"),
    ],
)
def test_bad_overrides(tmp_path, override, message):
    with pytest.raises(ValueError, match=message):
        load(written(tmp_path, "train: {steps: 3}"), parse_settings([override]))


def test_dump_and_load_round_trip(tmp_path, tiny):
    assert load(written(tmp_path, experiments.dump(tiny))) == tiny


def test_a_group_of_keys_changes_just_the_keys_it_names(tmp_path):
    text = "loss: {ds: 2}\ntrain: {steps: 3, batch_size: 4}\nvariants: {a: {loss: {adv: 0}, train: {steps: 5}}}"
    loaded = load(written(tmp_path, text), {"train": {"learning_rate": 0.5}})
    resolved = loaded.resolve("a")
    assert (resolved.loss.ds, resolved.loss.adv) == (2, 0)
    assert (resolved.train.steps, resolved.train.batch_size, resolved.train.learning_rate) == (5, 4, 0.5)


def test_hash_changes_with_what_decides_the_weights_and_with_nothing_else(tiny):
    def with_(**changes):
        changed = config.with_overrides(tiny.model_dump(mode="json"), changes)
        return training_hash(Experiment.model_validate(changed), "images", {})

    base = training_hash(tiny, "images", {})
    assert base == with_(name="other", **{"evaluate.resize": 32, "train.log_every": 7, "train.save_every": 9})
    changed = [
        training_hash(tiny, "others", {}),
        training_hash(tiny, "images", {"train.start_from": "1"}),
        *(with_(**{key: 5}) for key in ("loss.ds", "train.steps")),
    ]
    assert len({base, *changed}) == 5


def test_measured_steps_change_no_hash_and_end_with_the_last(tiny):
    for keys, steps in (
        ({"evaluate_at": [3, 1]}, [1, 3, 4]),
        ({"evaluate_every": 2, "best_by": "lpips"}, [2, 4]),
        ({"evaluate_every": 3}, [3, 4]),
        ({}, []),
    ):
        changed = config.with_overrides(tiny.model_dump(mode="json"), {"train": keys})
        measured = Experiment.model_validate(changed)
        assert measured.train.evaluated_steps == steps
        for of in (training_hash, lineage_hash):
            assert of(measured, "images", {}) == of(tiny, "images", {})


def test_keys_that_came_later_leave_hashes_as_they_were_unless_they_are_used(tiny):
    before = tiny.model_dump(mode="json", include={"model", "loss", "train"}) | {"data": "images", "files": {}}
    for key in _NOT_DECISIVE:
        del before["train"][key]
    del before["model"]["fan_weights"]
    others = {"mirror": False, "sparse_heads": True, "encoder_learns": "both", "precision": "bf16"}
    for key, other in others.items():
        changed = config.with_overrides(tiny.model_dump(mode="json"), {f"train.{key}": other})
        assert training_hash(Experiment.model_validate(changed), "images", {}) != training_hash(tiny, "images", {})
        del before["train"][key]
    assert training_hash(tiny, "images", {}) == stable_hash(before)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)))
def test_stable_hash_ignores_the_order_of_keys(value):
    def reordered(v):
        if isinstance(v, dict):
            return {key: reordered(v[key]) for key in reversed(list(v))}
        return [reordered(item) for item in v] if isinstance(v, list) else v

    assert stable_hash(value) == stable_hash(reordered(value))


def test_margins_are_shares_of_known_metrics(tmp_path):
    file = tmp_path / "e.yaml"
    file.write_text("margins: {fd_alexnet: 0.2}")
    assert load(file).margins == {"fd_alexnet": 0.2}
    for text, message in (("{fd_alexnt: 0.2}", "did you mean `fd_alexnet`"), ("{lpips: 0}", "greater than 0")):
        file.write_text(f"margins: {text}")
        with pytest.raises(ValueError, match=message):
            load(file)


def test_claims_change_no_hash_and_a_run_has_none(tmp_path):
    plain, claimed = (load(written(tmp_path, claims("no_cyc", *metrics))) for metrics in ((), ("lpips", "fd_alexnet")))
    assert [claim.metric for claim in claimed.claims] == ["lpips", "fd_alexnet"]
    assert claimed.claims[0].mode == "latent"
    assert claimed.resolve("no_cyc").claims == ()
    for of in (training_hash, lineage_hash):
        assert of(claimed.resolve("no_cyc"), "images", {}) == of(plain.resolve("no_cyc"), "images", {})
    assert load(written(tmp_path, experiments.dump(claimed))) == claimed


def test_a_claim_on_what_is_not_measured_is_refused_before_the_study(quick_cli, tmp_path):
    written(tmp_path, claims("no_cyc", "lpips"))
    process = quick_cli(
        "ablate", "e.yaml", "--set", "evaluate.metrics=[fd_alexnet]", "--set", "data.train_per_domain=2"
    )
    assert process.returncode == 2
    assert "claims.0.metric: lpips latent is not measured, only fd_alexnet latent, fd_alexnet ref" in process.stderr
    assert "--set claims=[]" in process.stderr
