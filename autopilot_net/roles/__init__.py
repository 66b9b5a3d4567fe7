"""The roles: what the stations of terminals and pilots do with each key, beside what every station does.

Everything in this package is pure, as in `protocol`: a role acts through its host alone (`host.RoleHost`), which is a
station's process or one in virtual time. A role is called from one thread, the handler thread.
"""
