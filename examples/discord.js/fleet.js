// A gateway for @discordjs/core that is a fleet: events come from NATS, what is sent goes to NATS.
//
//   const gateway = await FleetGateway.connect();
//   const client = new Client({ rest, gateway });
//   await gateway.run();
//
// What each part of a Client does on a fleet is in ../README.md.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { AsyncEventEmitter } from "@vladfrangu/async_event_emitter";
import { AckPolicy, DeliverPolicy, jetstreamManager } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { decompress } from "fzstd";
import { Away, Pull, connect } from "./pull.js";

export { Away };

const ACK_WAIT = 30_000; // ms that an event may take
// ms that a command is sent again for, where the fleet says when. A Client waits ten seconds for members,
// from before it asked.
const PATIENCE = 5_000;
// Answers to commands: for whoever asked, and now, whatever else waits.
const ANSWERS = ["GUILD_MEMBERS_CHUNK", "RATE_LIMITED", "SOUNDBOARD_SOUNDS", "VOICE_SERVER_UPDATE"];
// ms before they are fed: a Client listens only once its command is answered, which may come behind them.
const MOMENT = 20;
// Of @discordjs/ws, which would open sockets of its own.
const DISPATCH = "dispatch";

// The fleet did not send a command; `reply` says why, and when to try again.
export class Refused extends Error {
  constructor(reply) {
    super(`${reply.reason}: ${reply.detail}`);
    this.reply = reply;
  }
}

// Nobody knows whether a command was sent.
export class Unanswered extends Error {}

export class FleetGateway extends AsyncEventEmitter {
  static async connect(options = {}) {
    const gateway = new FleetGateway();
    gateway.options = { subject: "discord.*.*", durable: "discord-js", ...options };
    gateway.nc = await connect();
    gateway.manager = await jetstreamManager(gateway.nc, { checkAPI: false });
    const { durable, subject } = gateway.options;
    // What all processes of this bot share. A durable that is new begins at now: what was before is stale.
    gateway.events = new Pull(gateway.nc, {
      durable_name: durable,
      filter_subject: subject,
      ack_wait: nanos(ACK_WAIT),
      max_ack_pending: 5000,
      deliver_policy: DeliverPolicy.New,
    }, (msg) => gateway.event(msg));
    // This process's own, and gone a minute after it.
    gateway.answers = new Pull(gateway.nc, {
      durable_name: `${durable}-answers-${randomUUID()}`,
      filter_subjects: ANSWERS.map((event) => `discord.*.${event}`),
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.New,
      inactive_threshold: nanos(60_000),
      mem_storage: true,
      num_replicas: 1,
    }, (msg) => void setTimeout(() => gateway.feed(msg), MOMENT));
    return gateway;
  }

  // How the fleet is cut: asked anew each time, since an operator may change it.
  async getShardCount() {
    const at = { last_by_subj: "$KV.discord_state.topology" };
    const entry = await this.manager.direct.getMessage("KV_discord_state", at);
    if (!entry) throw new Away("no fleet at this NATS: does it run, and on this NATS?");
    return entry.json().shards;
  }

  // Takes the place of a shard's socket. Sent again where the fleet says when, for as long as PATIENCE.
  async send(shardId, payload) {
    const subject = `fleet.discord.command.${shardId}`;
    const end = Date.now() + PATIENCE;
    for (;;) {
      const request = this.nc.request(subject, JSON.stringify(payload), { timeout: 10_000 });
      const answer = await request.catch((error) => {
        const what = "does a gateway run, is the fleet's name discord, has it this shard?";
        throw new Unanswered(`nobody answers on ${subject} (${error.message}): ${what}`);
      });
      const reply = answer.json();
      if (reply.kind !== "refused") return reply;
      const wait = reply.retry_after_ms ?? Infinity;
      if (Date.now() + wait > end) throw new Refused(reply);
      await sleep(wait);
    }
  }

  // Feeds the client until the connection is closed. Several processes share the events.
  async run() {
    await this.events.begin();
    await this.answers.begin();
    await Promise.all([this.events.run(), this.answers.run()]);
  }

  async close() {
    await this.nc.close();
  }

  event(msg) {
    if (!ANSWERS.includes(msg.subject.split(".").at(-1))) this.feed(msg);
  }

  // Handlers run on; an event whose handler fails is not fed again.
  feed(msg) {
    const [, shard, event] = msg.subject.split(".");
    try {
      const payload = JSON.parse(Buffer.from(body(msg)).toString());
      // Events are missing before a gap: listen for it where you keep state.
      if (event === "FLEET_GAP") this.emit("fleetGap", payload, Number(shard));
      else this.emit(DISPATCH, payload, Number(shard));
    } catch (error) {
      console.error(`${event} of shard ${shard}: ${error.message}`);
    }
  }
}

// One that was too large for NATS is compressed. (Node has a decoder of its own from 22.15 on.)
function body(msg) {
  return msg.headers?.get("Content-Encoding") === "zstd" ? decompress(msg.data) : msg.data;
}
