"""What the integration cases stand on: stand-ins or a real cluster, a controller, and a job as a test sees it."""
