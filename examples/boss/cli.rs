//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};
use queenright::{Config, LinkConfig};

/// How many bytes of recording a node writes at most: a day of a quiet one.
const RECORDING_LEN_MAX: u64 = 64 << 20;
/// A stopped machine is noticed after this long, so that its jobs are done by others while their requestors still wait.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(4);
/// Each link shows a sign of life this often.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// One boss in the whole cluster, and many workers.
///
/// Without a job this program is a worker, and a candidate for the boss; Enter ends it. With a job it asks the boss to
/// have it done, and ends when that is so.
///
/// Exit status: 0 when all is well; 1 when a job was not done in time, or the demo's story went wrong; 2 when this
/// program could not even begin: wrong arguments, no ZooKeeper.
#[derive(Debug, Parser)]
#[command(name = "boss", disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// A job for the boss, in one word or several. Write `--` before a job called `demo`.
    #[arg(value_name = "JOB WORDS", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) job: Vec<String>,

    #[command(flatten)]
    pub(crate) setup: Setup,

    /// Be a child of the demo: tell it everything in JSON, and end at once when it does.
    #[arg(long, hide = true, conflicts_with = "job")]
    pub(crate) child: bool,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Command {
    /// Play the whole story: a boss and two workers; `kill -9` of the boss while jobs are under way; then a hand-over in
    /// good order. All on this machine; nothing stays behind.
    Demo {
        /// How many jobs there are in each of the three acts.
        #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..=1000))]
        jobs: u16,
    },
}

/// What all ways of running have in common.
#[derive(Clone, Debug, Args)]
pub(crate) struct Setup {
    /// The ZooKeeper servers: host:port, several with commas between, and perhaps a /path behind. Without it, the one on
    /// 127.0.0.1:2181, which is started if there is none.
    #[arg(long, global = true, value_name = "HOSTS", env = "QUEENRIGHT_ZOOKEEPER")]
    pub(crate) zookeeper: Option<String>,

    /// Where this node listens for others; port 0 is any. Not for the demo. [default: 127.0.0.1:0]
    #[arg(long, global = true, value_name = "HOST:PORT")]
    pub(crate) listen: Option<String>,

    /// Under which address other nodes reach this one, if not the one on which it listens. Not for the demo.
    #[arg(long, global = true, value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,

    /// The znode below which everything is. The demo appends something of its own.
    #[arg(long, global = true, value_name = "PATH", default_value = "/queenright")]
    pub(crate) namespace: String,

    /// How long ZooKeeper keeps this node's registrations when it hears nothing of it.
    #[arg(long, global = true, value_name = "DURATION", default_value = "8s", value_parser = humantime::parse_duration)]
    pub(crate) session_timeout: Duration,

    /// How long a boss may believe in itself without news from ZooKeeper; so, about how long the next one waits for a
    /// boss that died.
    #[arg(long, global = true, value_name = "DURATION", default_value = "3s", value_parser = humantime::parse_duration)]
    pub(crate) lease: Duration,

    /// The secret that all nodes share; needed when they are on several machines.
    #[arg(long, global = true, value_name = "SECRET", env = "QUEENRIGHT_COOKIE", hide_env_values = true)]
    pub(crate) cookie: Option<String>,

    /// How long to wait for ZooKeeper, and then for the job to be done.
    #[arg(long, global = true, value_name = "DURATION", default_value = "15s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,

    /// How long a job takes a worker. [default: 1s; in the demo, by the number of jobs]
    #[arg(long, global = true, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) work: Option<Duration>,

    /// Record there what the core of this node is told: `queenright-sim replay --recording` lives through it again.
    #[arg(long, global = true, value_name = "DIRECTORY")]
    pub(crate) record: Option<PathBuf>,

    /// Log to standard error what the library does; twice for details.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl Setup {
    /// Where ZooKeeper is: from the command line, or found before anything begins.
    pub(crate) fn servers(&self) -> &str {
        self.zookeeper.as_deref().unwrap_or_default()
    }

    /// What the library is told of it.
    pub(crate) fn config(&self) -> Config {
        let links = LinkConfig {
            heartbeat_interval: HEARTBEAT_INTERVAL,
            heartbeat_timeout: HEARTBEAT_TIMEOUT,
            ..LinkConfig::default()
        };
        let mut config = Config::new(self.servers())
            .with_namespace(&self.namespace)
            .with_session_timeout(self.session_timeout)
            .with_lease(self.lease)
            .with_connect_timeout(self.timeout)
            .with_links(links);
        if let Some(listen) = &self.listen {
            config = config.with_listen(listen);
        }
        if let Some(advertise) = &self.advertise {
            config = config.with_advertise(advertise);
        }
        if let Some(cookie) = &self.cookie {
            config = config.with_cookie(cookie.as_bytes());
        }
        if let Some(directory) = &self.record {
            config = config.with_recordings(directory, RECORDING_LEN_MAX);
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("boss").chain(words.iter().copied()))
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn words_are_a_job_unless_the_first_one_is_demo() {
        assert!(parse(&[]).unwrap().job.is_empty());
        let cli = parse(&["--lease", "500ms", "play", "the", "demo", "--timeout", "2s"]).unwrap();
        assert_eq!(cli.job, ["play", "the", "demo"]);
        assert!(cli.command.is_none());
        assert_eq!(
            (cli.setup.lease, cli.setup.timeout),
            (Duration::from_millis(500), Duration::from_secs(2))
        );
        let cli = parse(&["--", "demo"]).unwrap();
        assert!(cli.command.is_none() && cli.job == ["demo"]);
        assert_eq!(parse(&["help", "me"]).unwrap().job, ["help", "me"]);
        let Some(Command::Demo { jobs }) = parse(&["demo", "--jobs", "3", "--lease", "1s"]).unwrap().command
        else {
            panic!("no demo");
        };
        assert_eq!(jobs, 3);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in [
            &["--lease", "3"][..],
            &["--lease", "soon"],
            &["--nonsense"],
            &["demo", "--jobs", "0"],
            &["demo", "--jobs", "1001"],
            &["demo", "more"],
            &[""],
            &["--child", "job"],
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
