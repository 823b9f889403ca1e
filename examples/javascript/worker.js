// A worker: a durable consumer that any number of these programs share, and a command upstream.
//
//   node worker.js                          reads events for ever
//   node worker.js --from new               a durable that is not there yet begins at now
//   node worker.js --command '{"op":43,…}'  sends one command, and tells the fleet's answer
//
// Run it as often as you like: each event goes to one of them. Kill one with -9: what it had not
// acknowledged goes to the others after ACK_WAIT. An event may come twice, and is skipped never.

import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { DeliverPolicy } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { decompress } from "fzstd";
import { Away, connect, pull } from "./pull.js";

const ACK_WAIT = 10_000; // ms that an event may take
const TRIES = 5; // of a command that the fleet bids us to send again

const { values: options } = parseArgs({
  options: {
    filter: { type: "string", default: "discord.*.MESSAGE_CREATE" },
    durable: { type: "string", default: "example-javascript" },
    from: { type: "string", default: "all" },
    command: { type: "string" },
  },
});

// The event's own bytes: one that was too large for NATS is compressed. (Node has a decoder of its own from 22.15 on.)
function body(msg) {
  return msg.headers?.get("Content-Encoding") === "zstd" ? decompress(msg.data) : msg.data;
}

function handle(msg) {
  const event = msg.subject.split(".").at(-1);
  const text = Buffer.from(body(msg));
  const data = JSON.parse(text.toString());
  if (event === "FLEET_GAP") {
    // Events are missing before this one: drop what you know of the shard's guilds.
    console.error(`gap: ${data.reason} after ${data.session}:${data.last_seq}`);
  }
  // Nats-Msg-Id is unique: whatever you do with an event, do it once for each of these.
  console.log(`${msg.headers.get("Nats-Msg-Id")} ${msg.subject} ${text.length} bytes`);
}

async function work(nc) {
  const config = {
    durable_name: options.durable,
    filter_subject: options.filter,
    ack_wait: nanos(ACK_WAIT),
    max_ack_pending: 10_000,
    deliver_policy: options.from === "new" ? DeliverPolicy.New : DeliverPolicy.All,
  };
  await pull(nc, config, handle);
}

async function command(nc) {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const answer = await nc.request("fleet.discord.command", options.command, { timeout: 10_000 }).catch((error) => {
      const what = "does a gateway run, and is the fleet's name discord?";
      throw new Away(`nobody answers on fleet.discord.command (${error.message}): ${what}`);
    });
    const reply = answer.json();
    console.log(JSON.stringify(reply));
    if (reply.kind !== "refused") return 0;
    if (reply.retry_after_ms === undefined) return 1;
    await sleep(reply.retry_after_ms);
  }
  return 1;
}

let nc;
try {
  nc = await connect();
  if (options.command) process.exitCode = await command(nc);
  else await work(nc);
} catch (error) {
  if (!(error instanceof Away)) throw error;
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await nc?.close();
}
