"""The parts of tests/cluster/cluster, one file per idea."""
