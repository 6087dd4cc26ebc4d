from PIL import Image

from infaug.report.pictures import draw_against_class_size


def test_a_picture_has_a_panel_for_each_quantity(tmp_path):
    points = {"plain": [(100, 0.1), (10, 0.9)], "git": [(100, 0.2), (10, 0.3)]}
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    draw_against_class_size({"eKLD, nats": points}, "a title", one)
    draw_against_class_size({"eKLD, nats": points, "top-1, percent": points}, "b", two)
    with Image.open(one) as narrow, Image.open(two) as wide:
        assert wide.width == 2 * narrow.width
        assert len(set(wide.convert("RGB").tobytes())) > 50
