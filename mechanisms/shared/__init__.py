"""What several mechanisms need: steps in a space, and what a trace has tried."""
