"""Speed, memory and growth, measured; run from the repository."""
