"""What an operator asks from outside: is it well, what is wrong, and what is to be done."""
