"""What the person in front of the terminal has to be told."""

import sys


class Trouble(Exception):
    """Something is missing or broken; the text says what, and what to do about it."""


def say(text: str) -> None:
    """One line on stderr, so that stdout stays free for what a script reads."""
    print(f"cluster: {text}", file=sys.stderr, flush=True)
