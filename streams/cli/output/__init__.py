"""Everything that is printed: tables, lines, JSON, progress."""
