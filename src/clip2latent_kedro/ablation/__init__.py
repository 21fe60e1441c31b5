"""What the numbers of an ablation say."""
