"""Reads a file of leads from elsewhere and turns each row into what capture accepts. Nothing here writes a lead.

examine(file)          encoding, separator, header        layout.py
rows(file, layout)     cells, mended or refused           reading.py
read_map(text)         the map.yaml, checked              map_file.py
bind(map, columns)     row -> ImportedRow or BadRow       mapping.py
Tally, ErrorFile       what became of the rows            report.py
"""
