"""``python -m fastbackprop`` is the command line."""

import sys

from fastbackprop._cli.main import main

if __name__ == "__main__":
    sys.exit(main())
