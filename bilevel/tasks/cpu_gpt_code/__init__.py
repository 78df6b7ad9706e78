"""The GPT benchmark with a script that may be edited freely, and a metric that no edit can fake."""
