"""What an operator does to an installation besides running it."""
