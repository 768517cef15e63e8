"""The refold: a separate process folds a partition again with another ruleset, into a database of its own."""
