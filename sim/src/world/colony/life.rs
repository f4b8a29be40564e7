//! What each node does, all the time.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use queenright::{
    Client, CreateMode, MonitorRef, Node, Path, Process, ProcessId, ProcessMonitorNotification, Version,
    Write,
};
use tokio::time::sleep;

use super::audit::View;
use super::book::Book;
use super::desks::Desk;
use super::traffic::Letter;
use crate::checkers::Life;
use crate::world::member::Member;

/// The service that everybody offers, and the globals that everybody wants.
const INBOX: &str = "inbox";
const SWEEPER: &str = "sweeper";
const BOSS: &str = "boss";
/// How often each thing is done.
const LETTER_EVERY: Duration = Duration::from_millis(200);
const ACT_EVERY: Duration = Duration::from_millis(50);
const LOOK_EVERY: Duration = Duration::from_millis(250);
const CHURN_EVERY: Duration = Duration::from_millis(700);
/// Every so many acts the leader writes to ZooKeeper.
const GUARDED_EVERY: u32 = 8;

/// What all parts of a life know.
#[derive(Clone)]
struct Own {
    life: Life,
    member: Member,
    book: Arc<Book>,
}

/// One life of a node: it ends when it is killed, or by an error.
pub(super) async fn live(member: Member, book: Arc<Book>) -> Result<(), Box<dyn Error>> {
    let life = member.whole_life();
    let own = Own { life, member, book };
    let start = own.member.node();
    let node = own.book.call(life, own.now(), ("its start", own.book.bounds.call * 4), start).await?;
    let inbox = node.spawn({
        let own = own.clone();
        move |process| receive(own, process)
    });
    let sender = node.spawn({
        let own = own.clone();
        move |process| send(own, process)
    });
    let desk = Desk { node: node.id().clone(), inbox: inbox.clone(), sender };
    own.book.write(|pages| {
        pages.desks.opens(life, desk);
        Ok(())
    });
    let _open = Open(&own);
    node.register(INBOX, &inbox)?;
    tokio::select! {
        biased;
        ended = lead(&own, node.client()) => ended,
        ended = stand(&own, &node) => ended,
        ended = look(&own, &node) => ended,
        ended = churn(&own, node.client()) => ended,
    }
}

struct Open<'a>(&'a Own);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.book.write(|pages| {
            pages.desks.closes(self.0.life);
            Ok(())
        });
    }
}

impl Own {
    fn now(&self) -> Duration {
        self.member.elapsed()
    }

    async fn call<T>(&self, what: &'static str, call: impl Future<Output = T>) -> T {
        self.book.call(self.life, self.now(), (what, self.book.bounds.call), call).await
    }
}

async fn receive(own: Own, mut process: Process) {
    loop {
        let letter: Letter = process.expect().await;
        let to = process.self_pid().clone();
        own.book.write(|pages| pages.traffic.received(own.now(), &to, &letter));
    }
}

/// A conversation that is under way.
struct Conversation {
    number: u64,
    letters: u64,
    monitor: MonitorRef,
}

async fn send(own: Own, mut process: Process) {
    let mut conversations: BTreeMap<ProcessId, Conversation> = BTreeMap::new();
    let mut count = 0;
    loop {
        sleep(LETTER_EVERY).await;
        let Ok(found) = own.call("the inboxes", process.get_capable(INBOX)).await else { continue };
        // From here on nothing waits: what is sent is sent before any later end of a link.
        while let Some(end) = process.expect_timeout::<ProcessMonitorNotification>(Duration::ZERO).await {
            let ProcessMonitorNotification { reference, pid, .. } = end;
            own.book.write(|pages| pages.traffic.fired(own.life, reference, &pid));
            if conversations.get(&pid).is_some_and(|conversation| conversation.monitor == reference) {
                conversations.remove(&pid);
            }
        }
        let from = process.self_pid().clone();
        for to in &*found {
            let conversation = conversations.entry(to.clone()).or_insert_with(|| {
                count += 1;
                let monitor = process.monitor(to);
                own.book.write(|pages| pages.traffic.monitors(own.life, monitor, to));
                Conversation { number: count, letters: 0, monitor }
            });
            let number = conversation.letters + 1;
            let letter = Letter { from: from.clone(), conversation: conversation.number, number };
            if process.try_send(to, letter).is_ok() {
                conversation.letters = number;
            }
        }
    }
}

/// Stands for a global, and does its work while it leads.
async fn lead(own: &Own, client: &Client) -> Result<(), Box<dyn Error>> {
    let tally = Path::new("/tally")?;
    let mut candidacy = own.call("a candidacy", client.campaign(SWEEPER, vec![own.life.node])).await?;
    loop {
        let leadership = candidacy.elected().await?;
        own.member.say(format_args!("leads with token {}", leadership.token()));
        let believing = own.book.believe(own.life, &leadership);
        let token = leadership.token();
        let mut acts = 0_u32;
        while leadership.is_valid() {
            own.book.act(own.life, token, leadership.is_valid());
            acts += 1;
            if acts.is_multiple_of(GUARDED_EVERY) {
                let data = token.0.0.to_be_bytes().to_vec();
                let write = Write::SetData { path: tally.clone(), data, version: Version::Any };
                if own.call("a guarded write", leadership.guard(vec![write])).await.is_err() {
                    // There is none yet, perhaps. If there is, this is refused.
                    let create =
                        Write::Create { path: tally.clone(), data: Vec::new(), mode: CreateMode::Persistent };
                    let _ = own.call("a guarded write", leadership.guard(vec![create])).await;
                }
            }
            tokio::select! {
                biased;
                () = leadership.stopping().cancelled() => {
                    // It takes its time, of which there is some.
                    sleep(leadership.valid_for() / 2).await;
                    break;
                }
                () = sleep(ACT_EVERY) => {}
            }
        }
        own.member.say("leads no more");
        drop(believing);
        drop(leadership);
    }
}

/// Stands for a global that is a process.
async fn stand(own: &Own, node: &Node) -> Result<(), Box<dyn Error>> {
    let acting = own.clone();
    let standing = node.register_candidate(BOSS, move |process| {
        let own = acting.clone();
        async move {
            let pid = process.self_pid().clone();
            loop {
                own.book.write(|pages| pages.desks.acts(own.now(), &pid));
                sleep(ACT_EVERY).await;
            }
        }
    });
    // In time or not: the candidacy stays.
    let _ = own.call("a boss", standing).await;
    pending().await
}

/// Looks around.
async fn look(own: &Own, node: &Node) -> Result<(), Box<dyn Error>> {
    loop {
        sleep(LOOK_EVERY).await;
        let Ok(peers) = own.call("the peers", node.get_peers()).await else { continue };
        let Ok(inboxes) = own.call("the inboxes", node.get_capable(INBOX)).await else { continue };
        let Ok(boss) = own.call("the boss", node.whereis_global(BOSS)).await else { continue };
        let mut view = View {
            at: own.now(),
            life: own.life,
            peers: peers.to_vec(),
            inboxes: inboxes.to_vec(),
            boss,
            freshness: inboxes.freshness(),
        };
        view.peers.sort();
        view.inboxes.sort();
        own.book.write(|pages| {
            pages.views[usize::from(own.life.node)] = Some(view);
            Ok(())
        });
    }
}

/// Registers something and withdraws it.
async fn churn(own: &Own, client: &Client) -> Result<(), Box<dyn Error>> {
    loop {
        sleep(CHURN_EVERY).await;
        let Ok(registration) = own.call("a registration", client.register("stall", None, "fruit")).await
        else {
            continue;
        };
        // In time or not: it is final.
        let _ = own.call("a withdrawal", registration.unregister()).await;
    }
}
