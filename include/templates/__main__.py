"""``python -m include.templates --period 2026-11 [--reporter 450721] [--folder path]``."""

import sys

from include.templates.write import main

sys.exit(main())
