//! The core without tokio: one plain thread with a blocking socket drives it.
//!
//! ```text
//! cargo run -p queenright-sim -- zookeeper        # in one terminal: a server for development
//! cargo run --example embed_core                  # in another
//! ```
//!
//! `queenright-core` is a machine: inputs and the time go in, requests and events come out. Beside it runs the core's own
//! ZooKeeper client, another machine, which turns requests into bytes. What is left for whoever embeds them is below: a
//! socket, a clock, and the order in which things are asked. A game's main loop, an interrupt handler or another async
//! runtime can do the same.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread;
use std::time::{Duration, Instant as StdInstant};

use clap::Parser;
use queenright_core::wire::client::{self, Break, Bytes, Client};
use queenright_core::{
    Config, Coordinator, Event, HostEvent, Incarnation, Input, Instant, Misuse, Name, Output, Terms, Token,
};

/// Lead a global for a moment, from a thread that knows no async.
#[derive(Parser)]
#[command(name = "embed_core")]
struct Cli {
    /// The ZooKeeper server: host:port.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2181")]
    zookeeper: String,

    /// How often the leader works before it resigns.
    #[arg(long, default_value_t = 3)]
    strokes: u32,
}

/// What the application wants.
enum Command {
    Campaign,
    Resign,
    /// Nothing of the term runs any more.
    Stopped(Token),
    Close,
}

/// The thread looks for commands at least this often.
const TURN_MAX: Duration = Duration::from_millis(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let Cli { zookeeper, strokes } = Cli::parse();
    match run(zookeeper, strokes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("embed_core: {error}");
            ExitCode::from(2)
        }
    }
}

/// The application: it tells the driving thread what it wants, and hears what happens.
fn run(zookeeper: String, strokes: u32) -> Result<(), Box<dyn std::error::Error>> {
    let global = Name::new("sweeper")?;
    let (commands, inbox) = mpsc::channel();
    let (events, news) = mpsc::channel();
    let driver = Driver::new(zookeeper, global, inbox, events)?;
    let driving = thread::spawn(move || driver.run());
    commands.send(Command::Campaign)?;
    // The thread ends with its last event, and with it this loop.
    for event in news {
        match event {
            Event::Elected { token, .. } => {
                println!("leads, with token {token}");
                for stroke in 1..=strokes {
                    println!("sweeps: stroke {stroke}");
                    thread::sleep(Duration::from_millis(100));
                }
                commands.send(Command::Resign)?;
            }
            Event::Stop { token, reason, .. } => {
                println!("stops: {reason:?}");
                commands.send(Command::Stopped(token))?;
            }
            Event::Revoked { token, .. } => println!("the term {token} is over"),
            Event::Withdrawn { .. } => commands.send(Command::Close)?,
            Event::Closed => println!("closed"),
            Event::Session(status) => println!("session: {status:?}"),
            Event::Registration { .. }
            | Event::Directory { .. }
            | Event::Holder { .. }
            | Event::Extended { .. }
            | Event::Degraded { .. } => {}
        }
    }
    driving.join().map_err(|_| "the driving thread panicked")??;
    Ok(())
}

/// Two machines, a socket and a clock.
struct Driver {
    core: Coordinator,
    client: Client,
    origin: StdInstant,
    server: String,
    link: Option<(TcpStream, Bytes)>,
    global: Name,
    commands: Receiver<Command>,
    events: Sender<Event>,
}

impl Driver {
    fn new(
        server: String,
        global: Name,
        commands: Receiver<Command>,
        events: Sender<Event>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let incarnation = Incarnation(u128::from(random()) << 64 | u128::from(random()));
        let name = Name::new(format!("embedded-{:016x}", random()))?;
        let now = Instant::ORIGIN;
        Ok(Self {
            core: Coordinator::new(Config::new(name, incarnation), now)?,
            client: Client::new(now, client::Config { seed: random(), ..client::Config::new(1) }),
            origin: StdInstant::now(),
            server,
            link: None,
            global,
            commands,
            events,
        })
    }

    fn run(mut self) -> Result<(), Misuse> {
        while !self.client.is_closed() {
            self.take_commands()?;
            self.settle();
            self.exchange();
            self.settle();
            // Both do nothing when it is too early.
            let now = self.now();
            self.client.handle_timeout(now);
            self.core.handle_timeout(now);
        }
        Ok(())
    }

    fn now(&self) -> Instant {
        Instant::ORIGIN.after(self.origin.elapsed())
    }

    fn take_commands(&mut self) -> Result<(), Misuse> {
        loop {
            let (now, global) = (self.now(), self.global.clone());
            match self.commands.try_recv() {
                Ok(Command::Campaign) => self.core.campaign(now, global, b"me".to_vec(), Terms::Many)?,
                Ok(Command::Resign) => self.core.resign(now, &global)?,
                Ok(Command::Stopped(token)) => {
                    self.core.handle_input(now, Input::Host(HostEvent::Stopped { global, token }));
                }
                Ok(Command::Close) => self.core.close(now),
                Err(TryRecvError::Empty) => return Ok(()),
                // Whoever wanted something is gone.
                Err(TryRecvError::Disconnected) => {
                    self.core.close(now);
                    return Ok(());
                }
            }
            self.settle();
        }
    }

    /// Carries out what the machines want, until they want nothing.
    fn settle(&mut self) {
        loop {
            let now = self.now();
            if let Some(output) = self.core.poll_output() {
                match output {
                    Output::Request(request) => self.client.submit(now, request),
                    Output::Event(event) => {
                        if event == Event::Closed {
                            self.client.close(now);
                        }
                        // If nobody listens any more, the next look at the commands shows it.
                        let _ = self.events.send(event);
                    }
                }
            } else if let Some(output) = self.client.poll_output() {
                match output {
                    client::Output::Connect { request, .. } => match self.connect() {
                        Ok(stream) => self.link = Some((stream, Bytes::new(&request))),
                        Err(error) => {
                            eprintln!("embed_core: {}: {error}", self.server);
                            self.client.handle_break(now, Break::Transport);
                        }
                    },
                    client::Output::Send { xid, request } => {
                        if let Some((_, bytes)) = &mut self.link {
                            bytes.send(xid, &request);
                        }
                    }
                    client::Output::Disconnect { .. } => self.link = None,
                    client::Output::Input(input) => self.core.handle_input(now, input),
                    client::Output::Closed => {}
                }
            } else {
                return;
            }
        }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(&self.server)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(CONNECT_TIMEOUT))?;
        Ok(stream)
    }

    /// Writes what there is, and reads until the next deadline.
    fn exchange(&mut self) {
        let now = self.now();
        let deadlines = [self.client.poll_timeout(), self.core.poll_timeout().map(|(at, _)| at)];
        let next = deadlines.into_iter().flatten().min();
        let pause = next.map_or(TURN_MAX, |at| at.since(now).min(TURN_MAX)).max(Duration::from_millis(1));
        let Some((stream, bytes)) = &mut self.link else { return thread::sleep(pause) };
        match turn(stream, bytes, pause) {
            Ok(()) => {
                // One record after the other: what comes of one is carried out before the next.
                while let Some((_, bytes)) = &mut self.link {
                    if !bytes.deliver(Instant::ORIGIN.after(self.origin.elapsed()), &mut self.client) {
                        return;
                    }
                    self.settle();
                }
            }
            Err(error) => {
                eprintln!("embed_core: {}: {error}", self.server);
                self.client.handle_break(self.now(), Break::Transport);
            }
        }
    }
}

fn turn(stream: &mut TcpStream, bytes: &mut Bytes, pause: Duration) -> io::Result<()> {
    stream.write_all(bytes.outgoing())?;
    bytes.outgoing().clear();
    stream.set_read_timeout(Some(pause))?;
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(len) => {
            bytes.receive(&buffer[..len]);
            Ok(())
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The standard library draws the keys of its hash maps: enough for names that must differ.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
