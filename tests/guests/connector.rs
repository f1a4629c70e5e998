//! The connector half of the faulty plugins: it plans tasks that all have its own configuration.
//!
//! | key | meaning |
//! |---|---|
//! | `tasks.file` | a file with a line for each task, which finds its own as `share`; its directory must be granted |
//!
//! A variant that `watches` (see `fault`) says so in its manifest, looks whether that file has changed, and
//! notes its own calls in the journal too. Lines that begin with `#` are no tasks, but changes all the same.

use std::cell::RefCell;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Plugin;
use crate::bindings::exports::transom::connect::connector;
use crate::bindings::transom::connect::host;
use crate::bindings::transom::connect::types::Error;
use crate::fault::{self, Faults, error, parse};

thread_local! {
    static CONNECTOR: RefCell<Connector> = RefCell::default();
}

#[derive(Debug, Default)]
struct Connector {
    faults: Faults,
    /// The file at the last plan.
    planned: Option<String>,
}

impl connector::Guest for Plugin {
    fn validate(config: String) -> String {
        let odd = config.contains('\u{7f}');
        match parse(&config)
            .and_then(|config| Faults::new(config).call("validate"))
            .map(Option::unwrap_or_default)
        {
            Ok(fault) if fault.is_empty() => String::new(),
            Ok(fault) if fault == "brittle" => {
                assert!(!odd, "told to break at odd values");
                String::new()
            }
            Ok(fault) if fault == "advise" => json!({
                "recommended_values": { "poll.records": ["1", "100"], "name": ["mine"], "nothing": ["x"] },
                "visible": { "poll.records": false, "name": false, "nothing": false },
            })
            .to_string(),
            Ok(_) => "{".to_owned(),
            Err(e) if e.detail.is_empty() => json!({ "errors": { "fault": [e.message] } }).to_string(),
            Err(e) => json!({ "errors": { "fault": [e.message], e.detail: ["is no key"] } }).to_string(),
        }
    }

    fn alter_offsets(config: String, _offsets: String) -> Result<bool, Error> {
        Faults::new(parse(&config)?).call("alter-offsets").map(|_| false)
    }

    fn start(config: String) -> Result<(), Error> {
        let mut faults = Faults::new(parse(&config)?);
        faults.call("start")?;
        CONNECTOR.set(Connector { faults, planned: None });
        CONNECTOR.with_borrow(|connector| connector.journal("start"));
        Ok(())
    }

    fn task_configs(max_tasks: u32) -> Result<Vec<String>, Error> {
        CONNECTOR.with_borrow_mut(|connector| connector.plan(max_tasks as usize))
    }

    fn watch(max_wait_ms: u32) -> Result<bool, Error> {
        CONNECTOR.with_borrow_mut(|connector| connector.watch(max_wait_ms))
    }

    fn stop() {
        CONNECTOR.with_borrow_mut(|connector| match connector.faults.call("stop") {
            Ok(_) => connector.journal("stop"),
            Err(e) => host::log(1, &e.message),
        });
    }
}

impl Connector {
    fn plan(&mut self, max_tasks: usize) -> Result<Vec<String>, Error> {
        let fault = self.faults.call("task-configs")?;
        self.planned = self.outside()?;
        let config = self.faults.config();
        let share = |line: &str| {
            let mut config = config.clone();
            config.insert("share".to_owned(), line.to_owned());
            json!(config).to_string()
        };
        let configs = match &self.planned {
            Some(file) => {
                file.lines().filter(|line| !line.starts_with('#')).map(share).take(max_tasks).collect()
            }
            None => vec![json!(config).to_string(); max_tasks],
        };
        self.journal("plan");
        Ok(match fault.as_deref() {
            None => configs,
            Some("no-tasks") => Vec::new(),
            Some("tell-derived") => {
                let mut config = config.clone();
                config.insert("derived".to_owned(), self.faults.canaries()?.join(" "));
                vec![json!(config).to_string()]
            }
            Some("tell-rubbish") => vec![self.faults.canaries()?.join(" ")],
            Some("random-tasks") => {
                vec![json!({ "share": fault::random().to_string() }).to_string(); max_tasks]
            }
            Some("too-many-tasks") => vec![json!(config).to_string(); max_tasks + 1],
            Some(_) => vec!["{".to_owned()],
        })
    }

    /// What decides how many tasks there are.
    fn outside(&self) -> Result<Option<String>, Error> {
        let file = self.faults.text("tasks.file").map(fs::read_to_string);
        file.transpose().map_err(|e| error(2, format!("tasks.file: {e}")))
    }

    fn watch(&mut self, max_wait_ms: u32) -> Result<bool, Error> {
        let end = Instant::now() + Duration::from_millis(max_wait_ms.into());
        self.journal("watch");
        if self.faults.call("watch")?.as_deref() == Some("deaf") {
            thread::sleep(end.saturating_duration_since(Instant::now()));
        }
        while self.outside()? == self.planned {
            if Instant::now() >= end || host::should_stop() {
                return Ok(false);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(true)
    }

    fn journal(&self, line: &str) {
        if fault::watches() {
            self.faults.journal(line);
        }
    }
}
