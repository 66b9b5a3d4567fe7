"""All of a small lab: every order, loss, duplicate, restart and timer within a bound, on the pure core.

`small_labs` has the labs and their bounds. `situation` is a state as a value, and `play` takes it one step further. It
plays the endpoints of `autopilot_net.protocol` themselves. `promises` holds each step against what the library
promises. `canonical` makes equal situations equal, and `explore` visits each of them once. What is found is made small
by `shorten`, and `retell` makes a journal of it, which is drawn like that of any other run.
"""
