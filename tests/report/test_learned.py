import torch
from finished import run_config
from pictured import draw_folder

from infaug.config import AffineRanges, DataConfig, EstimatorConfig, ShiftConfig
from infaug.data.source import load
from infaug.estimate.learned_transform import build_transform
from infaug.randomness import RandomNumbers
from infaug.report.learned import groups_of, in_numbers, known_shift, measure
from infaug.transform.affine_flows import compose, random_parameters
from infaug.transform.fields import Fields


def constant_fields(affine, channels, slope, offset) -> Fields:
    """Fields that are this affine map, and v -> slope v + offset, everywhere."""
    size = (len(affine), -1, 16, 16)
    matrix = (affine[:, :, :2] - torch.eye(2)).flatten(1)[:, :, None, None]
    mixing = (slope - 1) * torch.eye(channels).flatten()
    return Fields(
        matrix=matrix.expand(*size),
        offset=affine[:, :, 2, None, None].expand(*size),
        filter=mixing[None, :, None, None].expand(*size),
        bias=torch.full((len(affine), channels, 16, 16), offset),
    )


def test_an_affine_view_is_told_by_its_own_numbers():
    rng = RandomNumbers.of_size(50, "learned")
    drawn = random_parameters(rng, AffineRanges())
    for channels in (1, 3):
        fields = constant_fields(
            compose(drawn, 16, 16), channels, slope=0.4, offset=0.5
        )
        numbers, leftover = in_numbers(fields)
        torch.testing.assert_close(
            numbers["rotation"].float(), drawn.rotation_deg, atol=1e-3, rtol=1e-4
        )
        scale = drawn.scale.prod(dim=1).sqrt()
        torch.testing.assert_close(numbers["scale"].float(), scale)
        right = 100 * drawn.translation[:, 0]
        torch.testing.assert_close(
            numbers["right"].float(), right, atol=1e-3, rtol=1e-4
        )
        # --data.shift.contrast 0.4 --data.shift.brightness 0.2: 0.5 becomes 0.7.
        torch.testing.assert_close(numbers["contrast"].mean().item(), 0.4)
        torch.testing.assert_close(numbers["brightness"].mean().item(), 0.2)
        assert leftover.max() < 1e-4


def test_what_no_affine_map_explains_is_left_over():
    drawn = random_parameters(RandomNumbers.of_size(1, "none"), AffineRanges())
    still = compose(drawn, 16, 16)
    fields = constant_fields(still, 1, slope=1.0, offset=0.0)
    wave = torch.linspace(0, 6.28, 16).sin().expand(1, 2, 16, 16)
    bent = Fields(fields.matrix, fields.offset + 0.1 * wave, fields.filter, fields.bias)
    assert in_numbers(bent)[1].item() > 0.3


def test_every_class_has_its_quantiles_and_they_are_those_of_its_views(tmp_path):
    draw_folder(tmp_path / "images")
    images = load(DataConfig(source=str(tmp_path / "images"))).train
    transform = build_transform(run_config().transform, 1, 16, 16, 0)
    found = measure(transform, images, EstimatorConfig())
    whole, *classes = groups_of(found)
    assert whole.name == "all"
    assert [group.name for group in classes] == list(images.class_names)
    first = found.values["rotation"][images.labels == 0].double()
    assert abs(classes[0].quantiles["rotation"][2] - first.quantile(0.5)) < 1e-9
    again = measure(transform, images, EstimatorConfig())
    assert again.values["scale"].equal(found.values["scale"])


def test_a_shift_that_was_made_is_known_and_others_are_not():
    shift = ShiftConfig(rotate_deg=40, translate_px=4)
    known = known_shift(shift, width=16, height=32)
    assert known == {"rotation": 40, "right": 25.0, "down": 12.5}
    assert known_shift(ShiftConfig(), 16, 16) == {}
