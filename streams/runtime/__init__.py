"""What every process needs: signals, logs, fail-points."""
