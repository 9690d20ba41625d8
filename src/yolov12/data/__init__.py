"""Data: images in, labels in, arrays out. Nothing here writes into the user's data set."""
