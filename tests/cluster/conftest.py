"""These cases run on the real cluster only; their fixtures are those of tests/conftest.py."""

import os

os.environ.setdefault("DATAOPS_CLUSTER", "real")
