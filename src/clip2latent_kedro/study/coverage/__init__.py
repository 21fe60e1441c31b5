"""What a generator can make, against what prompts ask of it."""
