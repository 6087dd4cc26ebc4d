import warnings

import numpy as np
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from infaug.randomness import generator

SIZE = 48


@pytest.fixture(params=["global", "local"])
def still_colours(request, make_augment):
    """A strong flow that leaves colours alone, so that what moves can be found."""
    return make_augment(
        size=SIZE, pooling=request.param, filter_strength=0.0, bias_strength=0.0,
        spread=1.0,
    )  # fmt: skip


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


def test_a_keypoint_stays_on_the_marker_it_marks(still_colours):
    for seed, place in enumerate(((20.0, 22.0), (28.0, 24.0), (24.0, 28.0))):
        keypoints = tv_tensors.KeyPoints([place], canvas_size=(SIZE, SIZE))
        image, moved = drawn(still_colours, marker(*place), keypoints, seed=seed)
        travelled = float((moved[0] - torch.tensor(place)).norm())
        assert travelled > 1
        # A marker of four pixels' width is bent and stretched by a flow that is not
        # affine, so its centre of mass is not quite its centre.
        assert (centre(image) - moved[0]).norm() < 0.35


def test_a_box_holds_the_rectangle_it_held(still_colours):
    image = torch.zeros(1, SIZE, SIZE)
    image[:, 16:28, 14:34] = 1
    box = tv_tensors.BoundingBoxes(
        [[14, 16, 34, 28]], format="XYXY", canvas_size=(SIZE, SIZE), dtype=torch.float32
    )
    moved, around = drawn(still_colours, image, box)
    rows, columns = (moved[0] > 0.5).nonzero().unbind(1)
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert (torch.tensor(seen) - around[0]).abs().max() < 1.5
    assert (around[0] - box[0]).abs().max() > 1


def test_a_mask_takes_the_nearest_pixel_of_the_image_s_own_flow(still_colours):
    labels = torch.randint(0, 9, (SIZE, SIZE), generator=generator(0, "labels"))
    x = torch.rand(1, SIZE, SIZE, generator=generator(0, "x"))
    _, moved = drawn(still_colours, x, tv_tensors.Mask(labels))
    params = still_colours.make_params([x], generator(0, "draw"))
    flow = params["view"].flow[0].double().numpy()
    at = np.rint((flow + 1) * SIZE / 2 - 0.5).astype(int)
    inside = ((at >= 0) & (at < SIZE)).all(axis=2)
    truth = np.zeros((SIZE, SIZE), dtype=int)
    truth[inside] = labels.numpy()[at[inside][:, 1], at[inside][:, 0]]
    assert moved.dtype == labels.dtype
    # Where a source lies half-way between two pixels either may be taken.
    assert (moved.numpy() == truth).mean() > 0.995


def test_every_sample_of_a_batch_moves_what_belongs_to_it(still_colours):
    x = torch.rand(3, 1, SIZE, SIZE, generator=generator(0, "x"))
    one = [[20.0, 24.0], [28.0, 20.0]]
    keypoints = tv_tensors.KeyPoints([one] * 3, canvas_size=(SIZE, SIZE))
    masks = tv_tensors.Mask(torch.ones(3, 2, SIZE, SIZE, dtype=torch.uint8))
    boxes = tv_tensors.BoundingBoxes(
        [[20, 20, 8, 8]] * 3, format="XYWH", canvas_size=(SIZE, SIZE)
    )
    out = drawn(still_colours, {"x": x, "k": keypoints, "m": masks, "b": boxes})
    assert out["k"].shape == (3, 2, 2)
    assert out["m"].shape == masks.shape
    assert out["b"].format == tv_tensors.BoundingBoxFormat.XYWH
    for name in "kmb":
        assert isinstance(
            out[name], type({"k": keypoints, "m": masks, "b": boxes}[name])
        )
        assert not out[name][0].equal(out[name][1])


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


def test_no_boxes_stay_no_boxes(make_augment):
    none = tv_tensors.BoundingBoxes(
        torch.zeros(0, 4), format="XYXY", canvas_size=(16, 16)
    )
    _, moved = drawn(make_augment(), torch.rand(1, 16, 16), none)
    assert moved.shape == (0, 4)


def test_folds_are_reported_where_points_are_moved(make_augment):
    augment = make_augment(size=SIZE, flow_bound=None, spread=3.0, strength=3.0)
    x = torch.rand(8, 1, SIZE, SIZE, generator=generator(0, "x"))
    keypoints = tv_tensors.KeyPoints(torch.full((8, 1, 2), 20.0), canvas_size=(48, 48))
    with pytest.warns(UserWarning, match=r"the flow of \d of 8 images folds"):
        drawn(augment, x, keypoints)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn(make_augment(size=SIZE), x, keypoints)


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
