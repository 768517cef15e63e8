"""Which rules hold where: catalogue files, and the rules of every offset."""
