"""Pictures of fits and of comparisons, drawn by matplotlib (the extra ``plot``)."""
