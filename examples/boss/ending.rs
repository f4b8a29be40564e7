//! What ends a program: Enter, or a signal.

use std::io::BufRead;
use std::thread;

use tokio::sync::mpsc;

/// How many reasons wait to be heard; more are not heard.
const REASONS_MAX: usize = 8;
/// The exit status of a program whose leash was let go.
const ORPHANED: i32 = 3;

/// What standard input means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Nothing.
    Ignored,
    /// A line is a reason to end. The end of input is none: there may be no terminal.
    Terminal,
    /// A line is a reason to end. The end of input means that whoever started this program is gone, by whatever
    /// death, and this program ends at once.
    Leash,
}

/// Why a program shall end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Enter,
    Interrupted,
    Terminated,
}

/// The reasons to end, as they come.
pub(crate) struct Endings(mpsc::Receiver<Ending>);

impl Endings {
    /// Begins to listen, for the rest of the program's life.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(crate) fn listen(input: Input) -> Self {
        let (sender, endings) = mpsc::channel(REASONS_MAX);
        tokio::spawn(signals(sender.clone()));
        if input != Input::Ignored {
            // A thread of its own: reading a terminal cannot be called off, and must not hold up the runtime's end.
            thread::spawn(move || {
                // An error, as when a program in the background may not read, is as good as the end.
                while std::io::stdin().lock().read_line(&mut String::new()).is_ok_and(|len| len > 0) {
                    let _ = sender.try_send(Ending::Enter);
                }
                if input == Input::Leash {
                    std::process::exit(ORPHANED);
                }
            });
        }
        Self(endings)
    }

    /// The next reason. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Ending {
        match self.0.recv().await {
            Some(ending) => ending,
            None => std::future::pending().await,
        }
    }
}

impl Ending {
    /// In words.
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::Enter => "Enter",
            Self::Interrupted => "Interrupted",
            Self::Terminated => "Terminated",
        }
    }
}

/// Listens from the call on; the future passes on what it hears.
#[cfg(unix)]
fn signals(sender: mpsc::Sender<Ending>) -> impl Future<Output = ()> + Send {
    use tokio::signal::unix::{SignalKind, signal};
    let (interrupt, terminate) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        // Without them, signals end this program in their own way.
        let (Ok(mut interrupt), Ok(mut terminate)) = (interrupt, terminate) else { return };
        loop {
            let ending = tokio::select! {
                _ = interrupt.recv() => Ending::Interrupted,
                _ = terminate.recv() => Ending::Terminated,
            };
            let _ = sender.try_send(ending);
        }
    }
}

#[cfg(not(unix))]
async fn signals(sender: mpsc::Sender<Ending>) {
    while tokio::signal::ctrl_c().await.is_ok() {
        let _ = sender.try_send(Ending::Interrupted);
    }
}
