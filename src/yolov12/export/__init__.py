"""From a model in memory to a file that runs elsewhere, proven equal before it is handed over."""
