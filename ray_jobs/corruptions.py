"""Fourteen corruptions at five severities on the test images of a finished run.

    python ray_jobs/corruptions.py RUN
    python ray_jobs/corruptions.py RUN --methods base base_learned --seed 1

Prints top-1 by corruption and severity for each row and keeps it in RUN as
corruptions-ROW-seedK.json. Rows of one seed see the same corrupted images. Without
--methods: the row that the verdict is about.
"""

import argparse
import sys
from pathlib import Path

from infaug.cli.terminal import guarded
from infaug.trust.corruptions import check_run, corruptions_table


def main() -> int:
    """Check each row, printing as they end."""
    args = parse(sys.argv[1:])
    for row in args.methods or [None]:
        found = check_run(args.run, row, args.seed)
        print(f"{row or 'learned row'}, seed {args.seed}", end="\n\n")
        print(corruptions_table(found), end="\n\n", flush=True)
    return 0


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--methods", nargs="+", help="rows of the run")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(guarded(main))
