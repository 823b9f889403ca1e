// Events of a durable pull consumer, no more at a time than can be done in time.
//
//   const config = { durable_name: "mine", filter_subject: "discord.*.MESSAGE_CREATE", ack_wait: nanos(10_000) };
//   await pull(nc, config, handle);
//
// `handle(msg)` may be async or not. An event is acknowledged when it is done; when it throws, the event
// comes again after `ack_wait`. Where somebody deleted the consumer it is made anew and goes on behind the
// last event that was handled here.
//
// `consume()` of nats.js asks for as many however long they take, and says nothing when the consumer is
// gone. So this asks as JetStream is asked:
// <https://docs.nats.io/reference/reference-protocols/nats_api_reference#pulling-messages>

import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { AckPolicy, DeliverPolicy, JetStreamApiCodes, jetstreamManager } from "@nats-io/jetstream";
import { connect as dial, createInbox, nanos } from "@nats-io/transport-node";

const STREAM = "DISCORD";
const BATCH = 500; // no more events are asked for ahead
const EXPIRES = 10_000; // ms after which the server forgets a request
const HEARTBEAT = 1_000; // ms after which it says that it is there, without events too
const SILENT = 3_000; // ms without a word from it, after which we look whether the consumer is there

// What we want is not there at the start; the text says what to look at.
export class Away extends Error {}

// To NATS_URL. Without a NATS at the start that is an error; one that goes away later is waited for.
export async function connect() {
  const servers = process.env.NATS_URL ?? "nats://127.0.0.1:4222";
  try {
    return await dial({ servers, maxReconnectAttempts: -1 });
  } catch (error) {
    throw new Away(`no NATS lets us in (${error.message}): is it up, and is it what NATS_URL names?`);
  }
}

// Handles event after event, until the connection is closed.
export async function pull(nc, config, handle) {
  const events = new Pull(nc, config, handle);
  await events.begin();
  await events.run();
}

export class Pull {
  constructor(nc, config, handle) {
    Object.assign(this, { nc, config, handle, inbox: createInbox() });
    this.ackWait = (config.ack_wait ?? nanos(30_000)) / 1e6;
    this.waiting = [];
    // So many were asked for and have not come; when the server last said anything; it says no.
    Object.assign(this, { asked: 0, heard: 0, refused: false });
    // Milliseconds for an event, lately: ten at first, more when they are seen to be fast.
    this.pace = this.ackWait / 40;
    // The stream by its birthday, and how far we are in it.
    Object.assign(this, { born: null, last: 0 });
    this.arrived = () => {};
  }

  // Sees to it that the consumer is there. For the caller, who may have something to do first.
  async begin() {
    this.nc.subscribe(this.inbox, { callback: (error, msg) => this.take(error, msg) });
    try {
      this.manager = await jetstreamManager(this.nc);
      await this.make();
    } catch (error) {
      throw new Away(`no stream ${STREAM} at this NATS (${error.message}): does the fleet run, and on this NATS?`);
    }
  }

  async run() {
    while (!this.nc.isClosed()) {
      this.ask();
      if (this.waiting.length > 0) {
        await this.work(this.waiting.shift());
        continue;
      }
      const stop = new AbortController();
      const some = new Promise((resolve) => (this.arrived = resolve));
      await Promise.race([some, sleep(HEARTBEAT, null, { signal: stop.signal }).catch(() => {})]);
      stop.abort();
      if (this.refused || (this.asked > 0 && Date.now() - this.heard > SILENT)) await this.look();
    }
  }

  ask() {
    // What is here and on its way has to be done within a fraction of ack_wait.
    const room = Math.max(1, Math.min(BATCH, Math.floor(this.ackWait / 4 / this.pace)));
    const more = room - this.asked - this.waiting.length;
    // At half, so that the next are on their way while these are worked on.
    if (more <= Math.floor(room / 2) || this.refused) return;
    if (this.asked === 0) this.heard = Date.now();
    this.asked += more;
    const request = { batch: more, expires: nanos(EXPIRES), idle_heartbeat: nanos(HEARTBEAT) };
    const subject = `$JS.API.CONSUMER.MSG.NEXT.${STREAM}.${this.config.durable_name}`;
    this.nc.publish(subject, JSON.stringify(request), { reply: this.inbox });
  }

  take(error, msg) {
    this.heard = Date.now();
    const status = error ? 403 : (msg.headers?.code ?? 0);
    if (status === 0) {
      this.asked -= 1;
      this.waiting.push({ came: this.heard, msg });
    } else if (status === 100) {
      return; // the heartbeat
    } else {
      // A request is over, and what is left of it with it. Without a number, all of them are.
      const left = msg?.headers.get("Nats-Pending-Messages") || this.asked;
      this.asked = Math.max(0, this.asked - Number(left));
      // Other than "nothing there" and "its time is over": deleted, or nobody serves it just now.
      this.refused = status !== 404 && status !== 408;
    }
    this.arrived();
  }

  async work({ came, msg }) {
    const start = Date.now();
    if (start - came > this.ackWait / 2) return; // it was here too long: the server gives it again, to whoever has time
    const acks = this.config.ack_policy !== AckPolicy.None;
    if (acks && start - came > this.ackWait / 10) msg.respond("+WPI"); // its time begins now
    try {
      await this.handle(msg);
      if (acks) msg.respond("+ACK"); // after the work, never before it
    } catch (error) {
      console.error(`${msg.subject}: ${error.message}; it comes again`);
    }
    // …<stream>.<consumer>.<delivered>.<sequence>.<of the consumer>.<time>.<pending>
    this.last = Number(msg.reply.split(".").at(-4));
    const took = Date.now() - start;
    this.pace = Math.max(took, this.pace * 0.9);
    if (took > 1) await turn(); // so that the ack leaves, and others come
  }

  // Until the consumer is there, made anew or not.
  async look() {
    for (let said = false; !this.nc.isClosed(); said = true) {
      await sleep(HEARTBEAT);
      while (this.waiting.length > 0) await this.work(this.waiting.shift()); // a refusal overtakes the last events
      try {
        return await this.make();
      } catch (error) {
        if (!said) console.error(`consumer ${this.config.durable_name}: ${error.message}; tried every second`);
      }
    }
  }

  async make() {
    const { consumers, streams } = this.manager;
    const name = this.config.durable_name;
    const stream = await streams.info(STREAM);
    let begin;
    try {
      // One that is there goes on where it is, whoever made it.
      const { deliver_policy, opt_start_seq } = (await consumers.info(STREAM, name)).config;
      begin = { deliver_policy, opt_start_seq };
    } catch (error) {
      if (error.code !== JetStreamApiCodes.ConsumerNotFound) throw error;
      begin = this.place(stream);
      if (this.born) {
        const where = begin.opt_start_seq ? `event ${begin.opt_start_seq}` : "the first event";
        console.error(`consumer ${name} was deleted: made anew, from ${where} of the stream on`);
      }
    }
    const info = await consumers.add(STREAM, { ack_policy: AckPolicy.Explicit, ...this.config, ...begin });
    if (this.born !== stream.created) {
      Object.assign(this, { born: stream.created, last: info.ack_floor.stream_seq });
    }
    Object.assign(this, { asked: 0, heard: Date.now(), refused: false });
  }

  place(stream) {
    if (!this.born) return {}; // as configured
    if (this.born === stream.created && this.last <= stream.state.last_seq) {
      return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: this.last + 1 };
    }
    return { deliver_policy: DeliverPolicy.All }; // another stream: all of it is new
  }
}
