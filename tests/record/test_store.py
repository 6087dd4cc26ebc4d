import json

import pytest
import torch

from infaug.record.store import GeneratorStore

WHO = {"seed": 0, "adversarial": {"steps": 3}}
WEIGHTS = {"out.weight": torch.arange(6.0).view(2, 3)}


def test_what_was_kept_is_found_by_what_decided_it(tmp_path):
    store = GeneratorStore(tmp_path / "cache")
    assert store.find(WHO) is None
    store.keep(WHO, WEIGHTS, {"inside": 0.9})
    found = GeneratorStore(tmp_path / "cache").find(WHO)
    assert found["out.weight"].equal(WEIGHTS["out.weight"])
    assert store.find({**WHO, "seed": 1}) is None
    about = json.loads((store.place(WHO) / "fit.json").read_text())
    assert about == {"decided_by": WHO, "measured": {"inside": 0.9}}


def test_the_first_to_finish_stays_and_nothing_is_left_half_written(tmp_path):
    store = GeneratorStore(tmp_path)
    store.keep(WHO, WEIGHTS, {})
    store.keep(WHO, {"out.weight": torch.zeros(1)}, {})
    found = store.find(WHO)
    assert found["out.weight"].equal(WEIGHTS["out.weight"])
    assert list(tmp_path.iterdir()) == [store.place(WHO)]


def test_a_damaged_generator_is_named_with_a_remedy(tmp_path):
    store = GeneratorStore(tmp_path)
    store.keep(WHO, WEIGHTS, {})
    (store.place(WHO) / "generator.safetensors").write_bytes(b"broken")
    with pytest.raises(ValueError, match="delete that folder"):
        store.find(WHO)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        GeneratorStore(tmp_path / "file").keep(WHO, WEIGHTS, {})
