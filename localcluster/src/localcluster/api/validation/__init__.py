"""Validation: what an object may not say, and the words in which the real server refuses it."""
