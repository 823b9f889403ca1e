#!/usr/bin/env python3
"""Recomputes the verdict of a demo from its evidence, sharing nothing with the program.

    verdict.py DIR                 both records from files: sessions.json, sent.ndjson, stored.ndjson
    verdict.py DIR --nats URL      the stream from a server that still runs (`demo --keep`); needs nats-py

Prints the counts as one JSON object and ends with 0 only if nothing differs. Standard library only,
unless it reads the stream itself.
"""

import argparse
import asyncio
import hashlib
import json
import pathlib
import sys

COUNTS = ("sent", "stored", "lost", "duplicated", "out_of_order", "altered", "gaps", "missing_gaps",
          "unexpected", "told")


def lines(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def owed(session):
    """How far the stream must reach: all of a living session, of an invalidated one what was delivered."""
    reason = session.get("end_reason")
    if reason is None:
        return session["last_seq"]
    return session["delivered_seq"] if reason == "invalidated" else 0


def judge(sessions, sent, stored):
    """The differences between what was sent and what is stored, counted and told."""
    count = dict.fromkeys(COUNTS, 0)
    told = []

    def fault(kind, what):
        count[kind] += 1
        if count[kind] <= 5:
            told.append(f"{kind}: {what}")

    shard_of = {session["id"]: session["shard"] for session in sessions}
    record = {session: {} for session in shard_of}
    for row in sent:
        count["sent"] += 1
        if row["session"] in record:
            record[row["session"]][row["seq"]] = (row["event"], row["hash"])
        else:
            fault("unexpected", f"{row['session']} was sent, but is no session")

    read = {session: set() for session in shard_of}     # sequences in the stream
    excused = {session: set() for session in shard_of}  # too large for it, and said so
    highest = dict.fromkeys(shard_of, 0)
    closed = set()                                      # sessions whose end was announced
    gaps = set()
    current = {}                                        # shard -> the session that stands last
    for message in stored:
        _, shard, event = message["subject"].rsplit(".", 2)
        shard, name = int(shard), message["id"]
        gap = message.get("gap")
        if gap:
            count["gaps"] += 1
            session, last = gap["session"], gap["last_seq"]
            if session not in shard_of:
                fault("unexpected", f"a gap of {session}, which is no session")
            elif gap["reason"] == "oversize":
                highest[session] = max(highest[session], last)
                excused[session].add(last)
            elif (session, last) in gaps:
                fault("duplicated", f"the gap after {session}:{last}")
            else:
                gaps.add((session, last))
                stands = current.get(shard) == session or highest[session] == 0
                if highest[session] != last or not stands:
                    fault("unexpected", f"a gap after {session}:{last}, but {highest[session]} stands last")
                if gap["reason"] != "hole":
                    closed.add(session)
            continue

        count["stored"] += 1
        session, _, seq = name.rpartition(":")
        seq = int(seq) if seq.isdigit() else -1
        if session not in shard_of:
            fault("unexpected", f"{name} is of no session")
            continue
        late = False
        before = current.get(shard)
        if before != session:
            late = bool(read[session])
            if not late:
                current[shard] = session
                if before is not None and before not in closed:
                    fault("missing_gaps", f"{name} follows {before}, whose end nobody announced")
        if shard_of[session] != shard:
            fault("unexpected", f"{name} is under shard {shard}")
        elif seq not in record[session]:
            fault("unexpected", f"{name} was never sent")
        elif seq in read[session]:
            fault("duplicated", name)
        else:
            if record[session][seq] != (event, message["hash"]):
                fault("altered", name)
            if seq < highest[session] or late:
                fault("out_of_order", f"{name} after {highest[session]} of {current[shard]}")
            read[session].add(seq)
            highest[session] = max(highest[session], seq)

    for session in sessions:
        one = session["id"]
        must = max(owed(session), highest[one])
        missing = record[one].keys() - read[one] - excused[one]
        for seq in sorted(missing):
            if seq <= must:
                fault("lost", f"{one}:{seq} of {must} owed")
            else:
                count["told"] += 1
        count["told"] += len(excused[one] & record[one].keys())
    return count, told


async def live(url, fleet, last):
    """The stream as a server holds it, in its order, up to its message `last`."""
    import nats
    from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

    client = await nats.connect(url)
    stream = client.jetstream(timeout=20)
    config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE)
    pull = await stream.pull_subscribe(f"{fleet}.>", stream=fleet.upper(), config=config)
    rows, seq = [], 0
    while seq < last:
        for message in await pull.fetch(1000, timeout=10):
            seq = message.metadata.sequence.stream
            if seq > last:
                break
            headers = message.headers or {}
            if headers.get("Content-Encoding"):
                sys.exit(f"message {seq} is compressed: compare the evidence files instead")
            row = {"subject": message.subject, "id": headers.get("Nats-Msg-Id", ""),
                   "hash": hashlib.sha256(message.data).hexdigest()[:32]}
            if message.subject.endswith(".FLEET_GAP"):
                row["gap"] = json.loads(message.data)
            rows.append(row)
    await client.close()
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--nats", metavar="URL")
    parser.add_argument("--fleet", default="discord")
    given = parser.parse_args()
    sessions = json.loads((given.folder / "sessions.json").read_text(encoding="utf-8"))["sessions"]
    stored = lines(given.folder / "stored.ndjson")
    if given.nats:
        # Traffic may flow again: the record ends where the evidence does.
        last = max(row["seq"] for row in stored)
        stored = asyncio.run(live(given.nats, given.fleet, last))
    count, told = judge(sessions, lines(given.folder / "sent.ndjson"), stored)
    for line in told:
        print(line, file=sys.stderr)
    clean = not any(count[kind] for kind in
                    ("lost", "duplicated", "out_of_order", "altered", "missing_gaps", "unexpected"))
    clean = clean and count["stored"] > 0
    print(json.dumps({"ok": clean, **count}))
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
