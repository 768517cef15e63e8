"""Verification, history, comparison and evidence: everything reproducible from offsets, as a bystander."""
