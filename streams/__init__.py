"""What runs: the pure core, a partition's fold, the worker, replay and audit, the embedded broker, the command line."""
