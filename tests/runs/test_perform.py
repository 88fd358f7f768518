from __future__ import annotations

import torch

from sg2bench import experiments
from sg2bench.data import sets
from sg2bench.evaluation.protocol import Protocol
from sg2bench.runs import perform


def test_images_and_reference_lines_have_the_size_that_all_variants_set(tiny, tmp_path, monkeypatch, quick_cli):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(experiments.dump(tiny))
    sized = experiments.load(
        tmp_path / "tiny.yaml",
        {
            "model.image_size": 64,
            "variants": {"full": {"model.image_size": 32}},
            "evaluate.metrics": ["lpips_to_source"],
        },
    )
    images = sets.load(sized.first().data, 32)
    lines = perform.reference_lines(sized, images, torch.device("cpu"))
    assert set(lines["protocol_hash"]) == {Protocol(sized.evaluate, 32).hash("lpips_to_source")}
    (tmp_path / "sized.yaml").write_text(experiments.dump(sized))
    assert quick_cli("data", "fingerprint", "sized.yaml").stdout == f"{images.fingerprint}\n"
