"""Short forms for cases."""

from __future__ import annotations

import pytest


def runs(**jobs):
    """Jobs a case needs, added when its group starts. See tests/conftest.py."""
    return pytest.mark.runs(**jobs)


def standin_only(reason: str):
    return pytest.mark.standin_only(reason=reason)
