"""``python -m fastbackprop`` is the command line."""

import sys

from fastbackprop._cli import main

if __name__ == "__main__":
    sys.exit(main())
