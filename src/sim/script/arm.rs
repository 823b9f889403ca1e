//! Faults that stand for a while, taken into the script.

use std::time::Duration;

use tokio::time::Instant;

use super::super::answer::Told;
use super::super::armed::Term;
use super::super::fault::{Fault, Shards, span};
use super::super::interrupt::{At, Turn};
use super::Script;

impl Script {
    /// Takes a fault in; what happens at once is none of the script's. Whether it was taken.
    pub(in super::super) fn arm(&mut self, fault: &Fault, shards: &Shards, now: Instant) -> bool {
        let shards = shards.clone();
        match fault {
            Fault::NoHello { count, for_ms } => {
                let term = term(*count, *for_ms);
                self.set_turn(At::Connect, Shards::All, term, Turn::default(), now);
            }
            Fault::Interrupt {
                moment,
                say,
                then,
                code,
                count,
                for_ms,
            } => {
                let turn = Turn {
                    say: say.clone(),
                    then: *then,
                    code: *code,
                };
                self.set_turn(*moment, shards, term(*count, *for_ms), turn, now);
            }
            Fault::Ready {
                session_id,
                resume_gateway_url,
                count,
                for_ms,
            } => {
                let told = Told {
                    session_id: session_id.clone(),
                    resume_gateway_url: resume_gateway_url.clone(),
                };
                self.set_ready(shards, term(*count, *for_ms), told, now);
            }
            Fault::MoveGateway { to, old } => self.set_place(to, *old),
            Fault::Rest(rest) => self.set_rest(rest.clone(), now),
            Fault::ResumeHost { mode, for_ms } => self.set_resume(*mode, span(*for_ms), now),
            Fault::RefuseConnect { mode, for_ms } => self.set_gateway(*mode, span(*for_ms), now),
            Fault::RefuseResume { for_ms } => self.set_refuse_resume(shards, span(*for_ms), now),
            Fault::SlowAck { ms, for_ms } => {
                let delay = Duration::from_millis(*ms);
                self.set_slow_ack(shards, delay, span(*for_ms), now);
            }
            Fault::RestLimit {
                count,
                retry_after,
                global,
            } => self.set_rest_limit(*count, *retry_after, *global),
            _ => return false,
        }
        true
    }
}

fn term(count: Option<u32>, for_ms: Option<u64>) -> Term {
    Term {
        count,
        span: span(for_ms),
    }
}
