"""What an application's factors are, and were at any moment, and why."""
