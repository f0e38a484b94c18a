"""`python3 -m relay`: the same as netplay-relay."""

import sys

from relay.cli import main

sys.exit(main())
