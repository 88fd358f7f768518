from __future__ import annotations

from sg2bench.files import add_digest, is_intact, write_digests


def test_digests_are_added_one_by_one_as_long_as_the_facts_are_the_same(tmp_path):
    for name in "abc":
        (tmp_path / name).write_text(name)
    write_digests(tmp_path, "a", lineage="1")
    add_digest(tmp_path, "b", lineage="1")
    (tmp_path / "a").write_text("changed")
    assert [is_intact(tmp_path, name, lineage="1") for name in "abc"] == [False, True, False]
    add_digest(tmp_path, "c", lineage="2")
    assert [is_intact(tmp_path, name, lineage="2") for name in "abc"] == [False, False, True]
    for damaged in ("[", "[]", "1", '{"lineage": "2", "sha256": []}'):
        (tmp_path / "digests.json").write_text(damaged)
        assert not is_intact(tmp_path, "a", lineage="2")
        add_digest(tmp_path, "a", lineage="2")
        assert is_intact(tmp_path, "a", lineage="2")
