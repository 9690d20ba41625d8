"""The facade: the model object, and the verbs that are about several models or none. `cli` calls only this."""
