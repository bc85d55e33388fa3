"""Reads a file of leads from elsewhere, turns each row into what capture accepts, and brings it in.

examine(file)          encoding, separator, header        layout.py
rows(file, layout)     cells, mended or refused           reading.py
read_map(text)         the map.yaml, checked              map_file.py
bind(map, columns)     row -> ImportedRow or BadRow       mapping.py
Report, ErrorFile      what became of the rows            report.py
run_import(runtime)    all of it; alone in writing leads  run.py
"""
