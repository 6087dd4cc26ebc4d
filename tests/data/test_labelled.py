import pytest
import torch

from infaug.data.dataset import Labelled, to_float


def labelled(labels, names=("cat", "dog")):
    count = len(labels)
    images = torch.arange(count, dtype=torch.uint8)[:, None, None, None]
    return Labelled(images.expand(count, 1, 2, 2), torch.tensor(labels), names)


def test_select_keeps_images_with_their_labels():
    part = labelled([0, 1, 1]).select(torch.tensor([2, 0]))
    assert part.labels.tolist() == [1, 0]
    assert part.images[:, 0, 0, 0].tolist() == [2, 0]
    assert len(part) == 2


def test_sum_pools_two_sets():
    both = labelled([0, 1]) + labelled([1])
    assert both.labels.tolist() == [0, 1, 1]
    assert both.num_classes == 2


def test_sets_of_other_classes_are_not_pooled():
    with pytest.raises(ValueError, match="same classes"):
        labelled([0, 1]) + labelled([0], ("cat", "cow"))


def test_sets_of_other_shape_are_not_pooled():
    wide = Labelled(
        torch.zeros(1, 1, 2, 3, dtype=torch.uint8), torch.tensor([0]), ("cat", "dog")
    )
    with pytest.raises(ValueError, match="same shape"):
        labelled([0, 1]) + wide


@pytest.mark.parametrize("label", [-1, 2])
def test_labels_without_a_class_are_refused(label):
    with pytest.raises(ValueError, match=f"label {label} names none of the 2 classes"):
        labelled([0, label])


def test_float_images_lie_in_zero_one():
    x = to_float(torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 1, 1, 3))
    assert x.dtype == torch.float32
    assert torch.allclose(x.flatten(), torch.tensor([0, 0.2, 1]))
