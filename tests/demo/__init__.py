"""`make demo`: a runner registered, a queue, a pipeline, pods, logs as people see them. See __main__.py."""
