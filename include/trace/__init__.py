"""Where a figure comes from: the cells behind it, in which file, and whether they are still there."""
