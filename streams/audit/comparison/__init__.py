"""Two rulesets, or two strategies, side by side over the same history."""
