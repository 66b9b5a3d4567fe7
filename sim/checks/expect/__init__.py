"""The lab's own limits: `limits.py` compares them with the figures of `traffic.py`, and `findings.py` words them."""
