"""A place for code that nobody has read: a confined worker process that exchanges JSON frames."""
