"""Replay, verification, as-of questions and evidence: everything reproducible from offsets, as a bystander."""
