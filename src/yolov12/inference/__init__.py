"""From sources to results: runtimes run the network, the predictor does everything around it."""
