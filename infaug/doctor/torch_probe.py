"""Printed as JSON: does torch work, and with it its GPUs and torchvision?"""

import json
import warnings
from typing import Any


def look() -> dict[str, Any]:
    """Versions, devices on which a product of matrices works, and what went wrong."""
    found: dict[str, Any] = {"devices": [], "device_errors": [], "vision_error": ""}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        import torch

        found |= {"torch": torch.__version__, "built_for_cuda": torch.version.cuda}
        found["is_available"] = torch.cuda.is_available()
        for number in range(torch.cuda.device_count() if found["is_available"] else 0):
            try:
                square = torch.eye(8, device=f"cuda:{number}") @ torch.ones(8, 8).cuda(
                    number
                )
                assert float(square.sum()) == 64
                found["devices"].append(torch.cuda.get_device_name(number))
            except (RuntimeError, AssertionError) as error:
                found["device_errors"].append(str(error).splitlines()[0])
        try:
            import torchvision

            found["torchvision"] = torchvision.__version__
            boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
            torchvision.ops.nms(boxes, torch.ones(1), 0.5)
        except (ImportError, RuntimeError, AttributeError, OSError) as error:
            found["vision_error"] = str(error).splitlines()[0]
    found["warnings"] = [str(each.message).splitlines()[0] for each in told]
    return found


if __name__ == "__main__":
    print(json.dumps(look()))
