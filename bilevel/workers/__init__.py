"""Processes that evaluations run in: bounded in time, gone with their parent, without secrets."""
