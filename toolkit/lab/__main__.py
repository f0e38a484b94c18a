"""`python -m toolkit.lab`."""

import sys

from toolkit.lab.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
