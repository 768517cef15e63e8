"""Reads the database for the command line: an application's log and its factors, at the cut of its partition."""
