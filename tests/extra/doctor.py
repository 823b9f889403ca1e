#!/usr/bin/env python3
"""Doctors the stream's record of an evidence folder: doctor.py DIR drop|swap|repeat|alter NEW_DIR"""

import json
import pathlib
import random
import shutil
import sys


def main():
    folder, how, to = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    to.mkdir(parents=True, exist_ok=True)
    for name in ("sessions.json", "sent.ndjson"):
        shutil.copy(folder / name, to / name)
    rows = [json.loads(line) for line in (folder / "stored.ndjson").read_text(encoding="utf-8").splitlines()]
    # Somewhere in the middle, another place in each run; and it says where.
    events = [at for at, row in enumerate(rows) if not row.get("gap")]
    at = events[random.Random().randrange(len(events) // 4, len(events) * 3 // 4)]
    print(f"{how} {rows[at]['subject']} {rows[at]['id']}")
    if how == "drop":
        del rows[at]
    elif how == "swap":
        # Neighbours of one session: two shards may stand in any order.
        session = rows[at]["id"].rpartition(":")[0]
        other = next(n for n in events if n > at and rows[n]["id"].rpartition(":")[0] == session)
        rows[at], rows[other] = rows[other], rows[at]
    elif how == "repeat":
        rows.insert(at + 1, rows[at])
    elif how == "alter":
        first = "1" if rows[at]["hash"][0] == "0" else "0"
        rows[at]["hash"] = first + rows[at]["hash"][1:]
    else:
        sys.exit(__doc__)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (to / "stored.ndjson").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
