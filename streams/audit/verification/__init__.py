"""The log folded again and compared with every published record."""
