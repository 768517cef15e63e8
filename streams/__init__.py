"""What runs: the pure consolidation core, the worker, the embedded broker, replay and the command line."""
