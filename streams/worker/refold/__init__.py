"""A partition folded again with another ruleset: by a process beside the worker, into a database of its own."""
