//! A member of the colony: a worker, and a candidate for the boss.

use std::process::ExitCode;
use std::time::Duration;

use queenright::{Error, Node};

use crate::cli::Setup;
use crate::ending::{Ending, Endings, Input};
use crate::message::{BOSS, WORKER};
use crate::roles::{boss, worker};
use crate::voice::{Event, Voice};

/// How long a job takes, unless told otherwise.
const WORK: Duration = Duration::from_secs(1);

/// Works, and stands for boss, until somebody ends it; then leaves in good order.
pub(crate) async fn run(setup: &Setup, voice: Voice) -> Result<ExitCode, Error> {
    let mut endings = Endings::listen(match voice {
        Voice::People | Voice::Silent => Input::Terminal,
        Voice::Demo => Input::Leash,
    });
    let node = Node::start(setup.config()).await?;
    let ending = tokio::select! {
        ended = serve(&node, setup.work.unwrap_or(WORK), voice) => match ended? {},
        ending = endings.next() => ending,
    };
    voice.tell(&Event::Closing { why: ending.why().to_owned() });
    tokio::select! {
        () = node.close() => Ok(ExitCode::SUCCESS),
        () = impatience(&mut endings) => Ok(ExitCode::FAILURE),
    }
}

/// Nothing is ever served to the end.
enum Never {}

async fn serve(node: &Node, effort: Duration, voice: Voice) -> Result<Never, Error> {
    node.wait_ready().await?;
    let worker = node.spawn(move |process| worker::run(process, effort, voice));
    node.register(WORKER, &worker)?;
    let boss = match node.register_candidate(BOSS, move |process| boss::run(process, voice)).await {
        Ok(boss) => Some(boss),
        // The candidacy stays.
        Err(Error::Timeout { .. }) => None,
        Err(error) => return Err(error),
    };
    voice.tell(&Event::Ready { worker, boss });
    std::future::pending().await
}

/// Whoever asks by a signal while this node leaves does not want to wait for that.
async fn impatience(endings: &mut Endings) {
    while endings.next().await == Ending::Enter {}
}
