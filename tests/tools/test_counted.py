from tools.counted import paper_gib


def test_a_step_at_the_papers_settings_takes_6_gib_and_in_bf16_4():
    """256 px, batch 8, the paper's widths."""
    gib = paper_gib()
    assert gib["naive", "float32"] > 16
    assert gib["ours", "float32"] < 6
    assert gib["ours", "bf16"] < 4
