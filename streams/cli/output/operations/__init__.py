"""Output of the commands for whoever operates an installation."""
