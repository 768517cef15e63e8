"""Sets of tables: which ones exist, and where their rows are."""
