//! The core, and what is written down of its life: see [`queenright_core::recording`].

use std::fs::{self, File};
use std::io::Write;
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use queenright_core::recording::{Recorder, Step};
use queenright_core::{Coordinator, Instant, Misuse, Output, RegistrationId};
use tracing::{debug, warn};

use crate::config::Recordings;
use crate::error::Error;

/// For how long entries are gathered before they are written: what a kill costs, and what a busy node saves.
const GATHER: Duration = Duration::from_millis(5);
/// A disk that is so far behind ends the recording: the node must not wait for it.
const PENDING_MAX: usize = 16 << 20;

/// A coordinator whose calls are recorded, or not.
pub(crate) struct Recorded {
    core: Coordinator,
    tape: Option<Tape>,
}

impl Recorded {
    /// Without a recording.
    pub(crate) fn without(core: Coordinator) -> Self {
        Self { core, tape: None }
    }

    /// Begins a recording of `core`, which was made at `now` and has not been called yet.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(crate) fn begin(core: Coordinator, now: Instant, recordings: &Recordings) -> Result<Self, Error> {
        let config = core.config();
        let path = recordings.directory.join(format!("{}-{}.rec", config.node, config.incarnation));
        let file = fs::create_dir_all(&recordings.directory).and_then(|()| File::create_new(&path)).map_err(
            |error| Error::config(format!("no recording can be made at {}: {error}", path.display())),
        )?;
        let wall_clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok();
        let mut head = Vec::new();
        let recorder = Recorder::new(config, now, wall_clock, &mut head);
        let tape = Tape::new(path, file, recorder, head, recordings.len_max)
            .map_err(|error| Error::config(format!("no thread can be started for recordings: {error}")))?;
        Ok(Self { core, tape: Some(tape) })
    }

    /// The machine, to be read.
    pub(crate) fn machine(&self) -> &Coordinator {
        &self.core
    }

    /// Makes one call.
    ///
    /// # Errors
    /// Those of the call.
    pub(crate) fn take(&mut self, now: Instant, step: Step) -> Result<Option<RegistrationId>, Misuse> {
        if let Some(tape) = &mut self.tape
            && !tape.step(now, &step)
        {
            self.tape = None;
        }
        self.core.take(now, step)
    }

    /// The next thing to do.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        let output = self.core.poll_output()?;
        if let Some(tape) = &mut self.tape {
            tape.recorder.put_out(&output);
        }
        Some(output)
    }

    /// Nothing more will be called: returns when the recording is written.
    pub(crate) async fn end(&mut self, now: Instant) {
        if let Some(tape) = self.tape.take() {
            let written = tokio::task::spawn_blocking(move || tape.end(now));
            let in_order = written.await.is_ok();
            debug!(in_order, "the recording is written");
        }
    }
}

/// A file that a thread of its own writes: a disk may take its time, and a node may not.
struct Tape {
    recorder: Recorder,
    path: PathBuf,
    shared: Arc<Shared>,
    entry: Vec<u8>,
    len: u64,
    len_max: u64,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    pending: Mutex<Pending>,
    changed: Condvar,
}

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    /// The node is done, or the file is.
    is_over: bool,
}

impl Tape {
    fn new(
        path: PathBuf,
        file: File,
        recorder: Recorder,
        head: Vec<u8>,
        len_max: u64,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let len = head.len() as u64;
        shared.lock().bytes = head;
        let thread = {
            let (shared, path) = (Arc::clone(&shared), path.clone());
            thread::Builder::new().name("queenright-recording".into()).spawn(move || {
                if let Err(error) = shared.write(file) {
                    warn!(path = %path.display(), %error, "the recording ends here: it cannot be written");
                }
            })?
        };
        Ok(Self { recorder, path, shared, entry: Vec::new(), len, len_max, thread: Some(thread) })
    }

    /// Records one call. Says whether the recording goes on.
    fn step(&mut self, now: Instant, step: &Step) -> bool {
        self.entry.clear();
        self.recorder.step(now, step, &mut self.entry);
        let len = self.len + self.entry.len() as u64;
        if len > self.len_max {
            warn!(path = %self.path.display(), len_max = self.len_max, "the recording is full, and ends here");
            return false;
        }
        self.len = len;
        let mut pending = self.shared.lock();
        if pending.is_over {
            // The thread has told why.
            return false;
        }
        if pending.bytes.len() + self.entry.len() > PENDING_MAX {
            warn!(path = %self.path.display(), "the recording ends here: the disk cannot follow");
            return false;
        }
        let was_empty = pending.bytes.is_empty();
        pending.bytes.extend_from_slice(&self.entry);
        drop(pending);
        if was_empty {
            self.shared.changed.notify_one();
        }
        true
    }

    /// Ends the recording in good order. Blocks.
    fn end(mut self, now: Instant) {
        self.entry.clear();
        self.recorder.end(now, &mut self.entry);
        self.shared.lock().bytes.extend_from_slice(&self.entry);
        self.shared.over();
        if let Some(thread) = self.thread.take() {
            // A panic there was reported there.
            let _ = thread.join();
        }
    }
}

impl Drop for Tape {
    /// What is there is written in the background.
    fn drop(&mut self) {
        self.shared.over();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Pending> {
        // Bytes are whole after a panic, too.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn over(&self) {
        self.lock().is_over = true;
        self.changed.notify_one();
    }

    /// Writes what comes, until it is over.
    fn write(&self, mut file: File) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            let is_over = {
                let pending = self.lock();
                let waiting = |pending: &mut Pending| pending.bytes.is_empty() && !pending.is_over;
                let mut pending =
                    self.changed.wait_while(pending, waiting).unwrap_or_else(PoisonError::into_inner);
                mem::swap(&mut pending.bytes, &mut bytes);
                pending.is_over
            };
            if let Err(error) = file.write_all(&bytes) {
                self.over();
                return Err(error);
            }
            bytes.clear();
            if is_over {
                return file.sync_all();
            }
            thread::sleep(GATHER);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use queenright_core::recording::replay;
    use queenright_core::{Config, Incarnation, Name};

    use super::*;

    /// A directory of its own for each test.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(test: &str) -> Self {
            let directory = std::env::temp_dir().join(format!("queenright-{}-{test}", std::process::id()));
            let _ = fs::remove_dir_all(&directory);
            Self(directory)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn begin(directory: &Path, len_max: u64) -> Result<Recorded, Error> {
        let config = Config::new(Name::new("n1").unwrap(), Incarnation(5));
        let core = Coordinator::new(config, Instant::ORIGIN).unwrap();
        Recorded::begin(core, Instant::ORIGIN, &Recordings { directory: directory.to_owned(), len_max })
    }

    fn read(directory: &Path) -> Vec<u8> {
        fs::read(directory.join("n1-00000000000000000000000000000005.rec")).unwrap()
    }

    /// Looks up 100 globals.
    fn live(recorded: &mut Recorded) {
        for number in 0..100 {
            let global = Name::new(format!("global-{number}")).unwrap();
            recorded.take(Instant::from_millis(number), Step::LookUp(global)).unwrap();
            while recorded.poll_output().is_some() {}
        }
    }

    #[tokio::test]
    async fn a_life_is_written_to_its_end() {
        let directory = Scratch::new("whole");
        let mut recorded = begin(&directory.0, u64::MAX).unwrap();
        live(&mut recorded);
        recorded.end(Instant::from_millis(200)).await;
        let replayed = replay(&read(&directory.0), |_, _| ()).unwrap();
        assert_eq!((replayed.steps, replayed.is_whole), (100, true));
        assert!(replayed.begin.wall_clock.is_some());
    }

    #[tokio::test]
    async fn a_node_that_vanishes_leaves_what_it_had_recorded() {
        let directory = Scratch::new("vanished");
        let mut recorded = begin(&directory.0, u64::MAX).unwrap();
        live(&mut recorded);
        // What a kill costs is the time of gathering; the runtime's end costs nothing.
        drop(recorded);
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        loop {
            let replayed = replay(&read(&directory.0), |_, _| ());
            if replayed.is_ok_and(|replayed| replayed.steps == 100 && !replayed.is_whole) {
                break;
            }
            assert!(std::time::Instant::now() < deadline);
            thread::sleep(GATHER);
        }
    }

    #[tokio::test]
    async fn a_full_recording_ends_and_the_node_goes_on() {
        let directory = Scratch::new("full");
        let mut recorded = begin(&directory.0, 1_000).unwrap();
        live(&mut recorded);
        assert!(recorded.tape.is_none());
        assert_eq!(recorded.take(Instant::from_millis(300), Step::Timeout), Ok(None));
        recorded.end(Instant::from_millis(300)).await;
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while replay(&read(&directory.0), |_, _| ()).map_or(0, |replayed| replayed.steps) < 5 {
            assert!(std::time::Instant::now() < deadline);
            thread::sleep(GATHER);
        }
        assert!(read(&directory.0).len() <= 1_000);
    }

    #[test]
    fn what_cannot_be_made_is_named() {
        let directory = Scratch::new("occupied");
        let first = begin(&directory.0, u64::MAX).unwrap();
        let again = begin(&directory.0, u64::MAX).err().unwrap().to_string();
        assert!(again.contains("n1-0000") && again.contains("exists"), "{again}");
        drop(first);
        let file = Scratch::new("file");
        fs::write(&file.0, b"").unwrap();
        let below = begin(&file.0.join("below"), u64::MAX).err().unwrap().to_string();
        assert!(below.contains("below"), "{below}");
        fs::remove_file(&file.0).unwrap();
    }
}
