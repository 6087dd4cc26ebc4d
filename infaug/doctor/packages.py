"""What is installed, against what infaug declares that it needs."""

from importlib import metadata

from packaging.requirements import Requirement

from infaug.doctor.finding import Finding, judge

# Extras of those who use infaug; the others are for those who work on it.
EXTRAS = ("onnx", "optuna", "mlflow", "photos")


def check_packages() -> list[Finding]:
    """A line for what is needed, and one for each extra."""
    wanted = [Requirement(text) for text in metadata.requires("infaug") or ()]
    needed = [each for each in wanted if _applies(each, "")]
    lacking = [text for each in needed if (text := _lack(each))]
    found = "; ".join(lacking) or f"all {len(needed)} that infaug needs"
    remedy = "pip install --upgrade infaug"
    return [
        judge("packages", not lacking, found, remedy),
        *(_extra(name, wanted) for name in EXTRAS if _is_declared(name)),
    ]


def _extra(name: str, wanted: list[Requirement]) -> Finding:
    parts = [each for each in wanted if each.marker and _applies(each, name)]
    lacking = [text for each in parts if (text := _lack(each))]
    if not lacking:
        found = ", ".join(f"{p.name} {metadata.version(p.name)}" for p in parts)
        return Finding(name=f"extra {name}", status="ok", found=found)
    found = f"not installed, optional: {'; '.join(lacking)}"
    remedy = f"pip install 'infaug[{name}]' if you want it"
    return Finding(name=f"extra {name}", status="note", found=found, remedy=remedy)


def _is_declared(extra: str) -> bool:
    about = metadata.metadata("infaug")
    return extra in (about.get_all("Provides-Extra") or ())


def _applies(requirement: Requirement, extra: str) -> bool:
    marker = requirement.marker
    return marker is None or marker.evaluate({"extra": extra})


def _lack(requirement: Requirement) -> str:
    """What is wrong with an installed package; empty if nothing is."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is missing"
    if requirement.specifier.contains(version, prereleases=True):
        return ""
    return f"{requirement.name} {version} is not {requirement.specifier}"
