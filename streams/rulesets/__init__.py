"""Rulesets: catalogue files, and the ruleset of every offset."""
