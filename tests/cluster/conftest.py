"""The fixtures of the integration cases, on the real cluster only."""

import os

os.environ.setdefault("DATAOPS_CLUSTER", "real")

from tests.integration.conftest import *  # noqa: E402,F401,F403
