"""How a database comes to this version's schema: one file for each step, never changed once it is released."""
