"""The command line: commands, the options that they share, and what they print."""
