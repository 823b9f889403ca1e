"""What befalls workers and bots: a slow handler, a consumer that somebody deletes, a NATS without a fleet."""

import asyncio
import collections
import socket
import subprocess
import time

from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError

from fleet import free_port, until

PAUSE, SECONDS = 0.15, 40  # a batch of 200 such events is three times ACK_WAIT


async def slow(it, workers):
    """An event takes 150 ms, and is handled once: none of them is near ACK_WAIT."""
    runs = [asyncio.to_thread(read_slowly, it, language, command) for language, command in workers.items()]
    for language, seen in zip(workers, await asyncio.gather(*runs)):
        twice = [id for id, times in seen.items() if times > 1]
        assert len(seen) > SECONDS / PAUSE / 2, f"{language} handled {len(seen)} events"
        assert not twice, f"{language}: {len(twice)} of {len(seen)} events handled twice"
        print(f"{language}: {len(seen)} events of {PAUSE * 1000:.0f} ms, 0 handled twice", flush=True)


def read_slowly(it, language, command):
    """A worker that writes a line an event is as slow as whoever reads them: how often it said each id."""
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    process = it.run(f"{language}-slow", *command, out=theirs)
    theirs.close()
    end, seen, held = time.monotonic() + SECONDS, collections.Counter(), b""
    while time.monotonic() < end:
        if b"\n" not in held:
            more = ours.recv(90)
            assert more, f"{language} ended"
            held += more
            continue
        line, held = held.split(b"\n", 1)
        seen[line.split()[0]] += 1
        time.sleep(PAUSE)
    process.kill()
    process.wait()
    ours.close()
    return seen


async def deleted(it, client, name, command, durable, id_at, env=None):
    """Somebody deletes the consumer of a running worker, or bot. It says so within seconds, and handles
    what comes, none of it twice."""
    process = it.run(name, *command, env=env)

    def handled():
        lines = (it.folder / f"{name}.out").read_text().split("\n")[:-1]
        return [line.split()[id_at] for line in lines if "MESSAGE_CREATE" in line and "own" not in line]
    it.traffic(200)
    await until(f"{name} works", lambda: len(handled()) > 50)
    await client.jetstream().delete_consumer("DISCORD", durable)
    start, before = time.monotonic(), len(handled())
    await until(f"{name} says so", lambda: "was deleted" in (it.folder / f"{name}.log").read_text(), 15)
    await until(f"{name} works again", lambda: len(handled()) > before + 50, 15)
    took = time.monotonic() - start
    it.traffic(0)
    await asyncio.sleep(2)
    assert process.poll() is None, f"{name} ended"
    process.kill()
    process.wait()
    left = (await client.jetstream().consumer_info("DISCORD", durable)).num_pending
    assert left == 0, f"{name} leaves {left} events"
    twice = len(handled()) - len(set(handled()))
    assert twice == 0, f"{name}: {twice} handled twice"
    print(f"{name}: its consumer was deleted, it says so and goes on after {took:.1f} s; {len(handled())} "
          "events, 0 twice", flush=True)
    return set(handled())


async def ordered_deleted(it, client, program):
    """The ordered worker ends: where its shards were is not known any more."""
    process = it.run("ordered-deleted", program, "MESSAGE_CREATE", "2")
    it.traffic(100)
    await until("ordered works", lambda: (it.folder / "ordered-deleted.out").stat().st_size > 5000)
    await client.jetstream().delete_consumer("DISCORD", "example-ordered-0-of-2")
    await until("ordered ends", lambda: process.poll() is not None, 15)
    said = (it.folder / "ordered-deleted.log").read_text()
    assert process.returncode == 1 and "somebody deleted consumer example-ordered-0-of-2" in said, said
    it.traffic(0)
    print("ordered: its consumer was deleted, it ends and says so", flush=True)


async def begins(it, client, language, worker):
    """A durable that is new begins with the stream, or at now where the flag says so."""
    for begin in ("all", "new"):
        name = f"{language}-from-{begin}"
        process = it.run(name, *worker(name, begin))
        await there(client, name)
        await asyncio.sleep(2)
        process.kill()
        process.wait()
        lines = len((it.folder / f"{name}.out").read_text().splitlines())
        assert (lines == 0) == (begin == "new"), f"{name} handles {lines}"
    print(f"{language}: begins with the stream or at now, as it is told", flush=True)


async def there(client, durable):
    """Until the worker has its consumer."""
    for _ in range(300):
        try:
            return await client.jetstream().consumer_info("DISCORD", durable)
        except NotFoundError:
            await asyncio.sleep(0.1)
    raise AssertionError(f"no consumer {durable}")


async def behind(it, client, name, command, env):
    """Members come while events that were there before are still worked on."""
    config = ConsumerConfig(durable_name=name, filter_subject="discord.*.*", ack_wait=30, max_ack_pending=5000)
    backlog = (await client.jetstream().add_consumer("DISCORD", config)).num_pending
    process = it.run(name, *command, env=env)
    await until(f"{name} has members", lambda: "members" in (it.folder / f"{name}.out").read_text(), 40)
    said = (it.folder / f"{name}.out").read_text().split()
    process.kill()
    process.wait()
    await client.jetstream().delete_consumer("DISCORD", name)
    members, heard, seconds = int(said[1]), int(said[2]), float(said[3])
    assert members > 0 and heard < backlog / 2, f"{name}: {members} members after {heard} of {backlog} events"
    print(f"{name}: {members} members after {seconds:.2f} s, {heard} of {backlog} events before them", flush=True)


def alone(it, programs):
    """What programs say where there is no NATS, no fleet on it, and nobody to take a command: a sentence."""
    port = free_port()
    folder = it.folder / "alone"
    server = it.run("alone", it.nats_server, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder))
    end = time.monotonic() + 10
    while socket.socket().connect_ex(("127.0.0.1", port)):
        assert time.monotonic() < end, "nats-server does not listen"
        time.sleep(0.1)
    for name, (command, env, words) in programs.items():
        for url, wanted in ((f"nats://127.0.0.1:{free_port()}", "NATS_URL"), (f"nats://127.0.0.1:{port}", words)):
            done = subprocess.run(
                [str(part) for part in command], capture_output=True, text=True, timeout=60, cwd=it.folder,
                env={**env, "NATS_URL": url},
            )
            assert done.returncode == 1, (name, done)
            said = done.stderr + done.stdout
            assert wanted in said, (name, wanted, said)
            stack = [line for line in said.splitlines() if line.startswith(("Traceback", "    at ", "  File "))]
            assert not stack, (name, said)
        print(f"{name}: says what to look at, without a stack", flush=True)
    server.kill()
    server.wait()
