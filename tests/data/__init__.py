"""Real conflicting claims with known truths, where that data is at hand."""
