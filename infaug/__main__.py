"""`python -m infaug` is the `infaug` command."""

import sys

from infaug.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
