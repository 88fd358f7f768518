from __future__ import annotations

import pickle

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sg2bench.config import Model
from sg2bench.models import checkpoints
from sg2bench.models.networks import Networks, build_discriminator
from tests.test_tensor_files import disk_full_after

SIZES = {"image_size": 32, "first_width": 4, "max_width": 8, "style_dim": 5, "latent_dim": 3, "mapping_width": 8}


def networks(domains=2, **changes):
    return Networks(Model(**(SIZES | changes)), domains)


def assert_same(a, b):
    assert a.state_dict().keys() == b.state_dict().keys()
    assert all((value == b.state_dict()[key]).all() for key, value in a.state_dict().items())


def stored(path):
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize(("w_hpf", "names"), [(0, ()), (2, ("fan",))])
def test_round_trip_in_the_published_form(tmp_path, w_hpf, names):
    nets = networks(w_hpf=w_hpf)
    path = checkpoints.save_ema(nets, tmp_path, 120)
    assert path.name == "000120_nets_ema.ckpt"
    assert path.read_bytes()[:2] != b"PK"  # a legacy pickle, not a zip
    assert set(stored(path)) == {"generator", "mapping_network", "style_encoder", *names}
    other = networks(w_hpf=w_hpf)
    checkpoints.load(other, path)
    assert_same(nets, other)


def changed(tmp_path, change, domains=2):
    """A file of which `change` gives the generator's weight of style another value, or anything other keys."""
    states = stored(checkpoints.save_ema(networks(domains), tmp_path, 1))
    states["generator"]["decode.0.norm1.fc.weight"] = change(states["generator"]["decode.0.norm1.fc.weight"])
    torch.save(states, tmp_path / "000001_nets_ema.ckpt")
    return tmp_path / "000001_nets_ema.ckpt"


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_parts_of_keys_that_wrappers_put_in_are_left_out(tmp_path, data):
    """As `torch.compile`, DataParallel and others do, around a network or a module in it, and around each other."""
    nets, other = networks(w_hpf=0), networks(w_hpf=0)
    wrappers = st.sampled_from(["module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"])
    put_in = data.draw(st.dictionaries(st.integers(0, 3), st.lists(wrappers, min_size=1, max_size=3), min_size=1))

    def wrapped(key):
        parts = key.split(".")
        return ".".join(part for place in range(len(parts)) for part in [*put_in.get(place, []), parts[place]])

    states = {
        name: {wrapped(key): value for key, value in net.state_dict().items()} for name, net in nets.named_children()
    }
    torch.save(states, tmp_path / "wrapped.ckpt")
    checkpoints.load(other, tmp_path / "wrapped.ckpt")
    assert_same(nets, other)
    assert checkpoints.infer(tmp_path / "wrapped.ckpt") == (Model(**SIZES), 2)


def test_a_key_that_is_there_with_a_wrapper_and_without_is_refused(tmp_path):
    states = stored(checkpoints.save_ema(networks(), tmp_path, 1))
    for key in ("module.from_rgb.bias", "from_rgb._orig_mod.bias"):
        twice = states | {"generator": states["generator"] | {key: torch.zeros(4)}}
        torch.save(twice, tmp_path / "twice.ckpt")
        with pytest.raises(ValueError, match=f"twice.ckpt: holds `generator.from_rgb.bias` twice, once as `{key}`"):
            checkpoints.load(networks(), tmp_path / "twice.ckpt")


def test_a_compiled_network_s_file_is_loaded(tmp_path):
    nets, other = networks(), networks()
    states = {name: torch.compile(net).state_dict() for name, net in nets.named_children()}
    assert all(key.startswith("_orig_mod.") for key in states["generator"])
    torch.save(states, tmp_path / "compiled.ckpt")
    checkpoints.load(other, tmp_path / "compiled.ckpt")
    assert_same(nets, other)


def test_unknown_keys_are_not_put_down_to_the_condition(tmp_path):
    states = stored(checkpoints.save_ema(networks(), tmp_path, 1))
    torch.save({name: {f"net.{key}": v for key, v in net.items()} for name, net in states.items()}, tmp_path / "x.ckpt")
    with pytest.raises(ValueError, match=r"x.ckpt: only the configuration has `generator.from_rgb.weight`$"):
        checkpoints.load(networks(), tmp_path / "x.ckpt")
    del states["generator"]["from_rgb.weight"]
    torch.save(states, tmp_path / "x.ckpt")
    with pytest.raises(ValueError, match=r"x.ckpt: only the configuration has `generator.from_rgb.weight`$"):
        checkpoints.load(networks(), tmp_path / "x.ckpt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.flatten()[:1].as_strided((10**6, 10**6), (0, 0)), r"need \d+ bytes, but the file has only \d+"),
        (lambda t: t.new_zeros(()).expand(10**12, 16, 5), "clone views before saving"),
        (lambda t: torch.zeros(0, 10**17), r"is \(0, 100000000000000000\), the configuration needs \(16, 5\)"),
        (lambda t: t.to_sparse(), "is sparse or nested; expected an array of numbers"),
        (lambda t: t.to_sparse_csr(), "is sparse or nested"),
        (lambda t: t.to_sparse_csc(), "is sparse or nested"),
        (lambda t: torch.nested.nested_tensor([t, t]), "is sparse or nested"),
        (lambda t: torch.nested.nested_tensor([t, t], layout=torch.jagged), "is sparse or nested"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), "is quantised"),
        (lambda t: t.to("meta"), "is a meta tensor, which has no numbers"),
        (lambda t: t.to(torch.complex64), "is complex64, expected float32"),
        (lambda t: t.to(torch.int64), "is int64, expected float32"),
        (lambda t: t.to(torch.uint8), "is uint8, expected float32"),
        (lambda t: t > 0, "is bool, expected float32"),
        (lambda t: t.to(torch.float8_e4m3fn), "is float8_e4m3fn, expected float32"),
        (lambda t: t * float("nan"), "holds NaN or infinity: the training diverged"),
        (lambda t: t.index_fill(0, torch.tensor([3]), float("inf")), "holds NaN or infinity"),
        (lambda t: t.half() * float("-inf"), "holds NaN or infinity"),
        (lambda t: (t.double() + 1) * 1e300, "holds NaN or infinity"),
        (lambda t: torch.zeros(0), "is \\(0,\\), the configuration needs"),
        (lambda t: t.sum(), "is \\(\\), the configuration needs"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of torch, about kinds of tensors that are new or going away
def test_a_tensor_that_no_such_file_has_is_refused_with_its_name(tmp_path, change, message):
    path = changed(tmp_path, change)
    with pytest.raises(ValueError, match=f"000001_nets_ema.ckpt: .*`generator.decode.0.norm1.fc.weight`.*{message}"):
        checkpoints.load(networks(), path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_of_another_precision_are_converted(tmp_path, dtype):
    nets, other = networks(), networks()
    states = {name: {k: v.to(dtype) for k, v in net.items()} for name, net in checkpoints._states(nets).items()}
    torch.save(states, tmp_path / "x.ckpt")
    checkpoints.load(other, tmp_path / "x.ckpt")
    assert other.generator.from_rgb.weight.dtype == torch.float32
    assert (other.generator.from_rgb.weight == nets.generator.from_rgb.weight.to(dtype).float()).all()


def test_transposed_tensors_and_parameters_are_taken_as_they_are(tmp_path):
    path = changed(tmp_path, lambda t: torch.nn.Parameter(torch.arange(80.0).view(5, 16).t()))
    nets = networks()
    checkpoints.load(nets, path)
    assert nets.generator.decode[0].norm1.fc.weight[1, 2] == 33


def test_shapes_that_promise_more_than_the_file_has_are_refused_before_memory_is_taken(tmp_path):
    """The first layer of a mapping network whose others would take 8192 * 8192 numbers each, for 100 domains."""
    states = stored(checkpoints.save_ema(networks(), tmp_path, 1))
    states["mapping_network"]["shared.0.weight"] = torch.zeros(8192, 1)
    for domain in range(100):
        states["mapping_network"][f"unshared.{domain}.0.weight"] = torch.zeros(1)
    torch.save(states, tmp_path / "x.ckpt")
    with pytest.raises(ValueError, match=r"x.ckpt: `mapping_network.shared.0.bias` is \(8,\), .* needs \(8192,\)"):
        checkpoints.infer(tmp_path / "x.ckpt")


def test_prefix_and_a_missing_high_pass_filter_are_accepted(tmp_path):
    nets, other = networks(w_hpf=1), networks(w_hpf=1)
    published = {
        name: {f"module.{key}": value for key, value in net.state_dict().items() if key != "hpf.filter"}
        for name, net in nets.named_children()
    }
    torch.save(published, tmp_path / "100000_nets_ema.ckpt", _use_new_zipfile_serialization=False)
    checkpoints.load(other, tmp_path / "100000_nets_ema.ckpt")
    assert_same(nets, other)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"domains": 3},
            r"only the configuration has `mapping_network.unshared.2.0.weight`: the file was made with domains 2, "
            r"the configuration has domains 3",
        ),
        (
            {"domains": 1},
            r"only the checkpoint has `mapping_network.unshared.1.0.weight`: .* domains 2, .* domains 1",
        ),
        (
            {"first_width": 2},
            r"`generator.from_rgb.weight` is \(4, 3, 3, 3\), the configuration needs \(2, 3, 3, 3\): .* first_width 4",
        ),
        ({"image_size": 64}, "only the configuration has `.*`: the file was made with image_size 32, .* 64"),
        ({"w_hpf": 1}, "only the configuration has `generator.*`: the file was made with w_hpf 0.0, .* w_hpf 1.0"),
        ({"style_dim": 6}, "`generator.*: the file was made with style_dim 5, .* style_dim 6"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused_with_a_guess(tmp_path, other, message):
    path = checkpoints.save_ema(networks(), tmp_path, 1)
    with pytest.raises(ValueError, match=message):
        checkpoints.load(networks(**other), path)


def test_a_file_with_high_pass_skip_is_refused_without_and_at_another_strength(tmp_path):
    path = checkpoints.save_ema(networks(w_hpf=1), tmp_path, 1)
    with pytest.raises(ValueError, match=r"the file was made with w_hpf 1.0, the configuration has w_hpf 0.0"):
        checkpoints.load(networks(), path)
    with pytest.raises(ValueError, match=r"`generator.hpf.filter` has another w_hpf: .* w_hpf 1.0, .* w_hpf 2.0"):
        checkpoints.load(networks(w_hpf=2), path)


@pytest.mark.parametrize("condition", ["latent", "label", "label_map"])
def test_a_file_of_another_condition_is_named_as_such(tmp_path, condition):
    path = checkpoints.save_ema(networks(), tmp_path, 1)
    with pytest.raises(ValueError, match="the file was made with another model.condition"):
        checkpoints.load(networks(condition=condition), path)


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path):
    for save, name in ((checkpoints.save_ema, "000001_nets_ema.ckpt"), (checkpoints.save, "000001_nets.ckpt")):
        more = () if save is checkpoints.save_ema else (build_discriminator(Model(**SIZES), 2),)
        with pytest.raises(OSError, match=f"File too large: '.*/{name}'"), disk_full_after(10_000):
            save(networks(), *more, tmp_path, 1)
    assert not list(tmp_path.iterdir())


def test_a_refused_file_changes_nothing(tmp_path):
    """The generator fits, the mapping network does not."""
    path = checkpoints.save_ema(networks(), tmp_path, 1)
    nets = networks(domains=3)
    before = {key: value.clone() for key, value in nets.state_dict().items()}
    with pytest.raises(ValueError, match="unshared"):
        checkpoints.load(nets, path)
    assert all((value == before[key]).all() for key, value in nets.state_dict().items())


def test_a_discriminator_comes_from_nets_and_not_from_ema_files(tmp_path):
    nets, discriminator = networks(), build_discriminator(Model(**SIZES), 2)
    path = checkpoints.save_ema(nets, tmp_path, 1)
    with pytest.raises(ValueError, match=r"holds no `discriminator` .*NNNNNN_nets.ckpt, as an EMA file holds no"):
        checkpoints.load(networks(), path, discriminator)
    torch.save(stored(path) | {"discriminator": discriminator.state_dict()}, tmp_path / "000001_nets.ckpt")
    other = build_discriminator(Model(**SIZES), 2)
    checkpoints.load(networks(), tmp_path / "000001_nets.ckpt", other)
    assert_same(discriminator, other)


def test_the_face_alignment_network_comes_from_the_file_or_from_wing_ckpt(tmp_path, monkeypatch):
    monkeypatch.setenv("SG2BENCH_WEIGHTS", str(tmp_path / "weights"))
    nets, other = networks(w_hpf=1), networks(w_hpf=1)
    path = checkpoints.save_ema(nets, tmp_path, 1)
    torch.save({k: v for k, v in stored(path).items() if k != "fan"}, path)
    with pytest.raises(
        ValueError, match=r"w_hpf > 0 needs .*set model.fan_weights to the published wing.ckpt.*SG2BENCH_WEIGHTS"
    ):
        checkpoints.load(other, path)
    (tmp_path / "weights").mkdir()
    surplus = {"state_dict": nets.fan.state_dict() | {"m9.surplus": torch.zeros(3)}}
    torch.save(surplus, tmp_path / "weights/wing.ckpt")
    checkpoints.load(other, path)
    assert_same(nets, other)
    torch.save({"state_dict": {}}, tmp_path / "empty.ckpt")
    with pytest.raises(ValueError, match=r"empty.ckpt: only the configuration has `fan.conv1.conv.weight`"):
        checkpoints.load(other, path, fan_weights=tmp_path / "empty.ckpt")
    for content in ([1], {"state_dict": {"conv1.conv.weight": 1}}, {"state_dict": 1}):
        torch.save(content, tmp_path / "odd.ckpt")
        with pytest.raises(ValueError, match="expected wing.ckpt, the face-alignment network"):
            checkpoints.load_fan(other, tmp_path / "odd.ckpt")
    state = nets.fan.state_dict()
    for key, value, message in (
        ("bn1.num_batches_tracked", torch.tensor(1.0), "`fan.bn1.num_batches_tracked` is float32, expected int64"),
        ("bn1.running_mean", torch.full((64,), float("nan")), "`fan.bn1.running_mean` holds NaN"),
        ("bn1.running_mean", torch.zeros(1).expand(10**12), "clone views before saving"),
    ):
        torch.save({"state_dict": state | {key: value}}, tmp_path / "odd.ckpt")
        with pytest.raises(ValueError, match=message):
            checkpoints.load_fan(other, tmp_path / "odd.ckpt")


@pytest.mark.parametrize(
    ("model", "domains"),
    [(SIZES, 2), (SIZES | {"w_hpf": 2.0}, 3), (SIZES | {"image_size": 64, "first_width": None, "max_width": 512}, 5)],
)
def test_sizes_are_inferred_from_shapes(model, domains, tmp_path):
    nets = Networks(Model(**model), domains)
    path = checkpoints.save_ema(nets, tmp_path, 1)
    assert checkpoints.infer(path) == (Model(**model), domains)
    published = stored(path)
    published["generator"].pop("hpf.filter", None)
    torch.save(published, path)
    assert checkpoints.infer(path)[0].w_hpf == (1.0 if model.get("w_hpf") else 0.0)
    torch.save({"generator": {}}, path)
    with pytest.raises(ValueError, match="does not hold the three networks of StarGAN v2; give --experiment"):
        checkpoints.infer(path)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    def refused(name, message):
        with pytest.raises(ValueError, match=message):
            checkpoints.load(networks(), tmp_path / name)

    refused("none.ckpt", "no such checkpoint")
    refused(".", "Is a directory")
    (tmp_path / "text.ckpt").write_text("hello")
    refused("text.ckpt", "not a checkpoint that can be loaded safely")
    torch.save({"generator": {}}, tmp_path / "part.ckpt")
    refused("part.ckpt", "only the configuration has `generator.from_rgb.weight`")
    torch.save({}, tmp_path / "empty.ckpt")
    refused("empty.ckpt", r"holds no `generator` \(it has nothing\)")
    torch.save({"generator": [1]}, tmp_path / "odd.ckpt")
    refused("odd.ckpt", "`generator` is not a state dict")
    torch.save([1], tmp_path / "list.ckpt")
    refused("list.ckpt", "holds a list")


def test_code_in_a_file_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (tmp_path / "ran").write_text, ("x",)

    (tmp_path / "evil.ckpt").write_bytes(pickle.dumps({"generator": Evil()}))
    with pytest.raises(ValueError, match="not a checkpoint that can be loaded safely"):
        checkpoints.load(networks(), tmp_path / "evil.ckpt")
    assert not (tmp_path / "ran").exists()
