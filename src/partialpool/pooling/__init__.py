"""Complete, partial and no pooling side by side: the numbers and words of a comparison."""
