"""Numbers and methods in words, as a page says them."""

import math

from markupsafe import Markup

MINUS, TIMES = "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"

GLOSS = {
    "none": "no augmentation",
    "base": "the base augmentation",
    "base_tuned": "the base augmentation that did best on the selection images",
    "learned": "the learned augmentation alone",
    "base_learned": "the learned augmentation after the base",
    "base_random": "random tau in place of the learned, after the base",
    "base_random_initial": "random tau through G as it began",
    "base_random_final": "random tau through G as base_learned left it",
    "pooled": "the base augmentation, the influence images trained on as well",
    "pooled_learned": (
        "the learned augmentation after the base, the influence images trained on as "
        "well"
    ),
    "autoaugment": "the base augmentation, then AutoAugment",
    "randaugment": "the base augmentation, then RandAugment",
    "trivial": "the base augmentation, then TrivialAugment",
    "augmix": "the base augmentation, then AugMix",
    "mixup": "the base augmentation, pairs of images mixed (MixUp)",
    "cutmix": "the base augmentation, patches of other images pasted in (CutMix)",
    "erasing": "the base augmentation, then random erasing",
    "mmel_hard": "the base augmentation, the hardest view of each image alone (MMEL)",
    "mmel_soft": "the base augmentation, harder views weighing more (MMEL)",
    "trivial_learned": "the base augmentation, TrivialAugment, then the learned",
    "mixup_learned": "the learned augmentation after the base, images mixed (MixUp)",
    "reweighted": "the base augmentation, images weighed by their influence",
    "bilevel_learned": "the base; the base, then E as one step of F teaches it",
    "uniform_policy": "the base; the base, then random operations, all alike likely",
    "policy_online": "the base; the base, then operations by a policy as it learns",
    "policy_learned": "the base; the base, then operations by the learned policy",
    "uniform_alone": "random operations alone, all alike likely, without the base",
    "policy_alone": "operations by the learned policy alone, without the base",
    "pooled_policy_alone": "as policy_alone, half of the images trained on drive",
    "pooled_even": "the base augmentation, half of the images trained on drive",
    "pooled_uniform": "as uniform_policy, half of the images trained on drive",
    "pooled_policy": "as policy_learned, half of the images trained on drive",
    "pooled_trivial": "the base and TrivialAugment, target images trained on as well",
    "pooled_tuned": "the best of several bases, target images trained on as well",
    "pooled_head_first": "as pooled, the last layer fitted before the others learn",
    "pooled_stretched": "as pooled, each image stretched over all values",
    "even_tuned": "the best of several bases, half of the images trained on are target",
    "even_stretched": "as even_tuned, each image stretched over all values",
    "late": "the base augmentation, target images join for the last quarter",
    "late_learned": "as base_learned, target images join for the last quarter",
    "oracle": "training images shifted as the test images are; no control",
}

PHASES = {
    "adversary": "fitting G to random affine maps",
    "classify": "training F",
    "refresh": "solving for s_val",
    "estimate": "training E and G",
    "review": "reviewing the learned view",
    "tuning": "trying candidates of base_tuned",
}


def gloss(method: str) -> str:
    """What a method is, in plain words; nothing for one that is new."""
    return GLOSS.get(method, "")


def number(value: float, digits: int = 2) -> str:
    """A number with a true minus sign.

    >>> number(-0.5), number(float("inf"))
    ('−0.50', 'unknown')
    """
    if not math.isfinite(value):
        return "unknown"
    return f"{value:.{digits}f}".replace("-", MINUS)


def signed(value: float, digits: int = 2) -> str:
    """As `number`, with a plus sign.

    >>> signed(0.5), signed(-0.5)
    ('+0.50', '−0.50')
    """
    if not math.isfinite(value):
        return "unknown"
    return f"{value:+.{digits}f}".replace("-", MINUS)


def power(value: float) -> Markup:
    """A sign, two digits and a power of ten.

    >>> print(power(-0.00031))
    −3.1 × 10<sup>−4</sup>
    """
    if value == 0 or not math.isfinite(value):
        return Markup(number(value, 0))
    digits, exponent = f"{value:+.1e}".split("e")
    raised = str(int(exponent)).replace("-", MINUS)
    mantissa = digits.replace("-", MINUS)
    return Markup("{} {} 10<sup>{}</sup>").format(mantissa, TIMES, raised)


def duration(seconds: float) -> str:
    """Seconds, minutes from two of them on, hours from three.

    >>> duration(0.25), duration(42), duration(900), duration(18000)
    ('0.25 s', '42 s', '15 min', '5.0 h')
    """
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 3 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def listed(words: list[str]) -> str:
    """Words with commas and a final "and".

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def short(text: str, max_chars: int = 14) -> str:
    """A text that fits, as beside a chart.

    >>> short("a very long name of a class")
    'a very long n…'
    """
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"
