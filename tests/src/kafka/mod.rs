//! A real Kafka broker: KRaft, one node that is broker and controller, on free ports of 127.0.0.1.
//!
//! It is up in three seconds and holds some 250 MB. What differs from the defaults: no waiting before
//! the first rebalance of a group, small internal topics, and short group sessions are allowed, so that
//! tests need not wait for time to pass.

mod alone;
mod client;
mod topics;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::{fmt, fs, io};

use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rustix::process::Signal;

use crate::process::{Folder, Process};
use crate::{java, ports, wait};

pub use client::Record;
pub use topics::Group;

/// The broker that the tests of this binary share. Use topics, groups and connectors with names of
/// their own ([`crate::unique`]), and neither stop nor pause it.
pub fn kafka() -> &'static Kafka {
    static SHARED: OnceLock<Kafka> = OnceLock::new();
    SHARED.get_or_init(|| Kafka::start("kafka", &[]))
}

/// A cluster of one broker, or of more ([`Kafka::add_broker`]).
pub struct Kafka {
    controller: u16,
    port: u16,
    admin: OnceLock<AdminClient<DefaultClientContext>>,
    /// The brokers 1, 2, ….
    brokers: Mutex<Vec<Broker>>,
    // After the processes: they are dropped in this order.
    folder: Folder,
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kafka").field("port", &self.port).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Broker {
    process: Process,
    properties: PathBuf,
}

/// What the tools want: 22 characters that are 16 bytes in base64.
const CLUSTER: &str = "VHJhbnNvbVRlc3RLYWZrYQ";

const LOG4J: &str = "\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{HH:mm:ss,SSS} %p %c{1}: %m%n%throwable
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
";

impl Kafka {
    /// A broker for one test, which may stop, pause and restart it. Dropping it ends it.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_private() -> Self {
        // A killed broker is let in again only when its session is over; nine seconds are the default.
        Self::start("private-kafka", &[("broker.session.timeout.ms", "3000")])
    }

    /// What clients take as `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port of the first broker.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends a broker with SIGKILL. The first one's number is 1.
    pub fn kill_broker(&self, number: usize) {
        self.broker(number, |broker| broker.process.kill());
    }

    /// Ends a broker in good order.
    pub fn stop_broker(&self, number: usize) {
        self.broker(number, |broker| {
            broker.process.signal(Signal::TERM);
            broker.process.wait();
        });
    }

    /// Starts a broker that was ended, with its data, and waits until it serves.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn restart_broker(&self, number: usize) {
        self.broker(number, |broker| {
            assert!(broker.process.exited().is_some(), "broker {number} runs");
            let process = launch(&broker.properties);
            broker.process = process.unwrap_or_else(|log| panic!("broker {number} does not come up:\n{log}"));
        });
        self.await_serving();
    }

    /// Stops a broker in its tracks (SIGSTOP): connections stay, answers do not come.
    pub fn pause_broker(&self, number: usize) {
        self.broker(number, |broker| broker.process.signal(Signal::STOP));
    }

    /// Lets a paused broker go on.
    pub fn resume_broker(&self, number: usize) {
        self.broker(number, |broker| broker.process.signal(Signal::CONT));
    }

    /// Starts another broker of this cluster and returns its number. With a topic placed on it alone
    /// ([`Kafka::create_topic_on`]), killing it leaves that topic without a leader.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn add_broker(&self) -> usize {
        let number = self.brokers().len() + 1;
        let broker = self.start_broker(number, ports::free(), &[("broker.session.timeout.ms", "3000")]);
        let broker = broker.unwrap_or_else(|log| panic!("broker {number} does not come up:\n{log}"));
        self.brokers().push(broker);
        wait::until(&format!("broker {number} to be seen"), || {
            let seen = self.count_brokers()?;
            if seen == number { Ok(()) } else { Err(format!("{seen} brokers")) }
        });
        number
    }

    /// What a broker has logged.
    pub fn log(&self, number: usize) -> String {
        let mut log = String::new();
        self.broker(number, |broker| log = broker.process.log());
        log
    }

    fn start(what: &str, extra: &[(&str, &str)]) -> Self {
        let mut last = String::new();
        // The ports were free a moment ago; when somebody else was quicker there are others.
        for _ in 0..3 {
            let folder = Folder::new(what);
            let kafka = Self {
                controller: ports::free(),
                port: ports::free(),
                admin: OnceLock::new(),
                brokers: Mutex::default(),
                folder,
            };
            match kafka.start_broker(1, kafka.port, extra) {
                Ok(broker) => {
                    kafka.brokers().push(broker);
                    kafka.await_serving();
                    return kafka;
                }
                Err(log) => last = log,
            }
        }
        panic!("the broker does not come up:\n{last}");
    }

    fn start_broker(&self, number: usize, port: u16, extra: &[(&str, &str)]) -> Result<Broker, String> {
        let home = self.folder.path().join(format!("broker-{number}"));
        let properties =
            write_settings(&home, &self.settings(number, port, &home, extra)).map_err(|e| e.to_string())?;
        let mut format = Process::start(
            "java",
            java::arguments("kafka.tools.StorageTool", &["-Xmx128m", "-XX:TieredStopAtLevel=1"])
                .into_iter()
                .chain(["format", "-t", CLUSTER, "-c"].map(String::from))
                .chain([properties.display().to_string()]),
            &home.join("format.log"),
        );
        if !format.wait().success() {
            return Err(format.log());
        }
        Ok(Broker { process: launch(&properties)?, properties })
    }

    fn settings(&self, number: usize, port: u16, home: &Path, extra: &[(&str, &str)]) -> String {
        let controller = self.controller;
        let (roles, more) = if number == 1 {
            ("broker,controller", format!(",CONTROLLER://127.0.0.1:{controller}"))
        } else {
            ("broker", String::new())
        };
        let mut settings = format!(
            "process.roles={roles}\n\
             node.id={number}\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             controller.listener.names=CONTROLLER\n\
             listeners=PLAINTEXT://127.0.0.1:{port}{more}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             log.dirs={}\n\
             {SETTINGS}",
            home.join("data").display()
        );
        for (key, value) in extra {
            settings.push_str(&format!("{key}={value}\n"));
        }
        settings
    }

    fn await_serving(&self) {
        wait::until("the broker to serve", || {
            if self.count_brokers()? > 0 { Ok(()) } else { Err("no broker in the metadata".to_owned()) }
        });
    }

    fn brokers(&self) -> MutexGuard<'_, Vec<Broker>> {
        self.brokers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn broker(&self, number: usize, act: impl FnOnce(&mut Broker)) {
        let mut brokers = self.brokers();
        act(brokers.get_mut(number - 1).unwrap_or_else(|| panic!("there is no broker {number}")));
    }
}

const SETTINGS: &str = "\
num.partitions=1
auto.create.topics.enable=true
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
group.consumer.min.session.timeout.ms=500
group.consumer.min.heartbeat.interval.ms=100
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=8388608
";

fn write_settings(home: &Path, settings: &str) -> io::Result<PathBuf> {
    let properties = home.join("server.properties");
    fs::create_dir_all(home)?;
    fs::write(&properties, settings)?;
    fs::write(home.join("log4j2.properties"), LOG4J)?;
    Ok(properties)
}

/// Starts a formatted broker and waits until it says that it is up.
fn launch(properties: &Path) -> Result<Process, String> {
    let home = properties.parent().expect("a file in a folder");
    let log4j = format!("-Dlog4j2.configurationFile={}", home.join("log4j2.properties").display());
    let log = home.join("broker.log");
    // The log is appended to; what an earlier life said is not what is waited for.
    let _ = fs::rename(&log, home.join("broker.log.old"));
    let arguments = java::arguments("kafka.Kafka", &["-Xmx768m", "-XX:+UseSerialGC", &log4j]);
    let mut process =
        Process::start("java", arguments.into_iter().chain([properties.display().to_string()]), &log);
    wait::until("the broker to start", || {
        if process.exited().is_some() {
            Ok(false)
        } else if process.log().contains("Kafka Server started") {
            Ok(true)
        } else {
            Err(process.log_tail(3))
        }
    })
    .then_some(())
    .ok_or_else(|| process.log_tail(40))
    .map(|()| process)
}
