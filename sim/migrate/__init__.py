"""Makes a topology from the files of an Autopilot lab.

- `convert.py`: the import as a whole. Begin here.
- `pilot_db.py`, `prefs.py`: read the files. `hierarchy.py`: makes the tree. `addresses.py`: finds addresses and ports.
- `findings.py`: what a person must look at. `write_yaml.py`: writes the topology.
"""
