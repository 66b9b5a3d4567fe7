"""The report of a run: figures from the evidence, and a page that opens offline.

- `figures.py`: latencies, rates, the timeline and the verdict's sentence. It is pure: no clock, no files.
- `render.py`: writes report.html and report.json. `report.html.j2`: the sections of the page.
- `charts.py`, `tree_chart.py`, `lamport_svg.py`: its pictures. `style.py`: what these share.
"""
