"""What a virtual lab sends by: links between machines, the connections on them, and the lines of a peer."""
