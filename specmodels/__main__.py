"""``python -m specmodels``: the command of the same name."""

import sys

from .command_line import main

if __name__ == "__main__":
    sys.exit(main())
