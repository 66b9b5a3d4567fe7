"""Checks of a lab under load: how much is under way at once, what stands still, and what the processes use."""
