"""Training: optimizer, weight average, training state, logger and the loop that drives them."""
