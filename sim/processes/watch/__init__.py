"""What a process of the lab does quietly, and what of it is told: how threads, programs and handlers end or hang, and
what a process holds and takes.
"""
