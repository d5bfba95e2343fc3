"""The Inspect page: what is in a file of weights, and what its network sees."""
