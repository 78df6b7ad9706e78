"""A GPT small enough to train on one CPU thread, as a script whose constants are searched."""
