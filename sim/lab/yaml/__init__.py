"""Reads YAML: `nodes.py` makes nodes that have their lines, `scalars.py` says how a plain scalar is read."""
