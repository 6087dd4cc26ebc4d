import warnings

import numpy as np
import pytest
import torch
from bent import bent_view
from torchvision import tv_tensors
from torchvision.transforms import v2

from infaug.export.values import move_boxes, move_keypoints, move_mask
from infaug.randomness import generator

SIZE = 48


@pytest.fixture(params=["affine", "bent"])
def view_for(request, make_augment):
    """A view of images of 48 px that moves by pixels and leaves colours alone."""

    def make(x, seed=0):
        if request.param == "bent":
            num = 1 if x.ndim == 3 else len(x)
            return bent_view(num, SIZE, SIZE, tuple(x.shape[:-3]))
        augment = make_augment(
            size=SIZE, pooling="global", filter_strength=0.0, bias_strength=0.0
        )
        return augment.make_params([x], generator(seed, "draw"))["view"]

    return make


def drawn(augment, *inputs, seed=0):
    return augment(*inputs, generator=generator(seed, "draw"))


def marker(x: float, y: float) -> torch.Tensor:
    ys, xs = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    return torch.exp(-((xs - x) ** 2 + (ys - y) ** 2) / 8)[None]


def centre(image: torch.Tensor) -> torch.Tensor:
    weights = image[0].double()
    at = torch.arange(SIZE, dtype=torch.float64)
    mean = [(weights.sum(dim=d) * at).sum() / weights.sum() for d in (0, 1)]
    return torch.stack(mean)


def test_a_keypoint_stays_on_the_marker_it_marks(view_for):
    for seed, place in enumerate(((20.0, 22.0), (28.0, 24.0), (24.0, 28.0))):
        x = marker(*place)
        view = view_for(x, seed)
        keypoints = tv_tensors.KeyPoints([place], canvas_size=(SIZE, SIZE))
        moved = move_keypoints(keypoints, view)[0]
        assert (moved - torch.tensor(place)).norm() > 1
        # A marker of four pixels' width is bent itself where the flow is not affine.
        assert (centre(view.render(x[None])[0]) - moved).norm() < 0.2


def test_a_box_holds_the_rectangle_it_held(view_for):
    x = torch.zeros(1, SIZE, SIZE)
    x[:, 16:28, 14:34] = 1
    box = tv_tensors.BoundingBoxes(
        [[14, 16, 34, 28]], format="XYXY", canvas_size=(SIZE, SIZE), dtype=torch.float32
    )
    view = view_for(x)
    around = move_boxes(box, view)[0]
    rows, columns = (view.render(x[None])[0, 0] > 0.1).nonzero().unbind(1)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert (torch.tensor(seen) - around).abs().max() < 1
    assert (around - box[0]).abs().max() > 1


def test_a_mask_takes_the_nearest_pixel_of_the_image_s_own_flow(view_for):
    labels = torch.randint(0, 9, (SIZE, SIZE), generator=generator(0, "labels"))
    view = view_for(torch.rand(1, SIZE, SIZE, generator=generator(0, "x")))
    moved = move_mask(tv_tensors.Mask(labels), view)
    flow = view.flow[0].double().numpy()
    at = np.rint((flow + 1) * SIZE / 2 - 0.5).astype(int)
    inside = ((at >= 0) & (at < SIZE)).all(axis=2)
    truth = np.zeros((SIZE, SIZE), dtype=int)
    truth[inside] = labels.numpy()[at[inside][:, 1], at[inside][:, 0]]
    assert moved.dtype == labels.dtype
    # Where a source lies half-way between two pixels either may be taken.
    assert (moved.numpy() == truth).mean() > 0.995


def test_every_sample_of_a_batch_moves_what_belongs_to_it(view_for):
    x = torch.rand(3, 1, SIZE, SIZE, generator=generator(0, "x"))
    view = view_for(x)
    keypoints = tv_tensors.KeyPoints([[[20.0, 24], [28, 20]]] * 3, canvas_size=(48, 48))
    masks = tv_tensors.Mask((x > 0.5).expand(3, 2, SIZE, SIZE))
    boxes = tv_tensors.BoundingBoxes(
        [[20.0, 20, 8, 8]] * 3, format="XYWH", canvas_size=(SIZE, SIZE)
    )
    for move, value in (
        (move_keypoints, keypoints), (move_mask, masks), (move_boxes, boxes)
    ):  # fmt: skip
        moved = move(value, view)
        assert type(moved) is type(value)
        assert (moved.shape, moved.dtype) == (value.shape, value.dtype)
        assert not moved[0].equal(moved[1])
        if move is move_boxes:
            assert moved.format == tv_tensors.BoundingBoxFormat.XYWH


def test_boxes_that_leave_the_image_are_clamped_and_sanitized_with_their_labels(
    make_augment,
):
    augment = make_augment(size=SIZE, pooling="global", spread=2.0)
    corner = [[0, 0, 2, 2], [18, 18, 30, 30]]
    boxes = tv_tensors.BoundingBoxes(
        corner, format="XYXY", canvas_size=(SIZE, SIZE), dtype=torch.float32
    )
    both = v2.Compose([augment, v2.SanitizeBoundingBoxes()])
    kept = []
    torch.manual_seed(0)
    for _ in range(20):
        sample = {
            "image": tv_tensors.Image(torch.rand(1, SIZE, SIZE)),
            "boxes": boxes,
            "labels": torch.tensor([7, 8]),
        }
        out = both(sample)
        assert out["boxes"].min() >= 0
        assert out["boxes"].max() <= SIZE
        assert len(out["boxes"]) == len(out["labels"])
        kept.append(out["labels"].tolist())
    assert [8] in kept
    assert [7, 8] in kept


def test_folds_are_reported_where_points_are_moved(make_augment):
    x = torch.rand(4, 1, 16, 16, generator=generator(0, "x"))
    keypoints = tv_tensors.KeyPoints(torch.full((4, 1, 2), 7.0), canvas_size=(16, 16))
    with pytest.warns(UserWarning, match=r"the flow of \d of 4 images folds"):
        drawn(make_augment(flow_bound=None, spread=3.0, strength=3.0), x, keypoints)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn(make_augment(), x, keypoints)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (tv_tensors.Mask(torch.zeros(8, 8)), "mask of shape"),
        (tv_tensors.KeyPoints([[1.0, 1.0]], canvas_size=(8, 8)), "keypoints of shape"),
        (
            tv_tensors.BoundingBoxes(
                [[1.0, 1, 4, 4, 30]], format="CXCYWHR", canvas_size=(16, 16)
            ),
            "rotated boxes",
        ),
    ],
)
def test_what_does_not_fit_the_image_is_refused(value, message, make_augment):
    with pytest.raises(ValueError, match=message):
        drawn(make_augment(), torch.rand(1, 16, 16), value)
