"""`python3 -m relay`: the same as netplay-relay."""

import sys

from relay.entry import main

sys.exit(main())
