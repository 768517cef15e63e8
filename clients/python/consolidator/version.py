"""The version of the client, and of the program that bundles it."""

__all__ = ["__version__"]

__version__ = "0.1.0"
