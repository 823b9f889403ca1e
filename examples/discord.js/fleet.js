// A gateway for @discordjs/core that is a fleet: events come from NATS, what is sent goes to NATS.
//
//   const gateway = await FleetGateway.connect();
//   const client = new Client({ rest, gateway });
//   await gateway.run();

import { AsyncEventEmitter } from "@vladfrangu/async_event_emitter";
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, errors, nanos } from "@nats-io/transport-node";
import { decompress } from "fzstd";

const ACK_WAIT = 30_000; // ms that an event may take
// Of @discordjs/ws, which would open sockets of its own.
const DISPATCH = "dispatch";

// The fleet did not send a command; `reply` says why, and when to try again.
export class Refused extends Error {
  constructor(reply) {
    super(`${reply.reason}: ${reply.detail}`);
    this.reply = reply;
  }
}

// NATS says so itself where nobody runs that shard: as good as `no_session`.
function nobody(error, subject) {
  if (!(error instanceof errors.RequestError && error.isNoResponders())) throw error;
  const detail = `nobody takes ${subject} at this moment`;
  return { kind: "refused", v: 1, reason: "no_session", detail, retry_after_ms: 1000 };
}

export class FleetGateway extends AsyncEventEmitter {
  static async connect(options = {}) {
    const gateway = new FleetGateway();
    gateway.options = { subject: "discord.*.*", durable: "discord-js", ...options };
    gateway.nc = await connect({
      servers: process.env.NATS_URL ?? "nats://127.0.0.1:4222",
      maxReconnectAttempts: -1,
    });
    gateway.manager = await jetstreamManager(gateway.nc);
    return gateway;
  }

  // How the fleet is cut: asked anew each time, since an operator may change it.
  async getShardCount() {
    const at = { last_by_subj: "$KV.discord_state.topology" };
    const entry = await this.manager.streams.getMessage("KV_discord_state", at);
    return entry.json().shards;
  }

  // Takes the place of a shard's socket.
  async send(shardId, payload) {
    const subject = `fleet.discord.command.${shardId}`;
    const asked = this.nc.request(subject, JSON.stringify(payload), { timeout: 10_000 });
    const reply = await asked.then((answer) => answer.json(), (error) => nobody(error, subject));
    if (reply.kind === "refused") throw new Refused(reply);
    return reply;
  }

  // Feeds the client until the connection is closed. Several processes share the events.
  async run() {
    const { subject, durable } = this.options;
    await this.manager.consumers.add("DISCORD", {
      durable_name: durable,
      filter_subject: subject,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(ACK_WAIT),
      max_ack_pending: 5000,
    });
    const consumer = await jetstream(this.nc).consumers.get("DISCORD", durable);
    for await (const msg of await consumer.consume()) {
      const [, shard, event] = msg.subject.split(".");
      const payload = JSON.parse(Buffer.from(body(msg)).toString());
      // Events are missing before a gap: listen for it where you keep state.
      if (event === "FLEET_GAP") this.emit("fleetGap", payload, Number(shard));
      else this.emit(DISPATCH, payload, Number(shard));
      // Handlers run on; an event whose handler fails is not fed again.
      msg.ack();
    }
  }
}

// One that was too large for NATS is compressed. (Node has a decoder of its own from 22.15 on.)
function body(msg) {
  return msg.headers?.get("Content-Encoding") === "zstd" ? decompress(msg.data) : msg.data;
}
