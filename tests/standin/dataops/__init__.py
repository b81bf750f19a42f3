"""The DataOps side of the runner job API, for tests and the demo.

Speaks the GitLab Runner job API v4 as the real platform does: registration,
queue, traces, results, artifacts and git over HTTP, with faults on demand.
Run by hand with ``python -m tests.standin.dataops --help``.
"""
