"""What is done with a database beside writing it: it is looked at, compared with the log, and built anew."""
