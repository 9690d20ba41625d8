"""The networks: typed composition of a backbone, a neck and heads; raw outputs only, no loss and no postprocessing."""
